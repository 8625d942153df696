locals {
  folder = "${path.module}/../../../k8s/base"
  texts = flatten([
    for file in sort(tolist(setsubtract(fileset(local.folder, "*.yaml"), ["kustomization.yaml"]))) :
    split("\n---\n", file("${local.folder}/${file}"))
  ])

  # infra/k8s/base with what is of this site.
  service = yamldecode(file("${local.folder}/rayservice.yaml"))
  cluster = local.service.spec.rayClusterConfig
  head    = local.cluster.headGroupSpec
  bounds = {
    for group in local.cluster.workerGroupSpecs : group.groupName =>
    lookup(var.groups, group.groupName, { min = group.minReplicas, max = group.maxReplicas })
  }
  images = { "registry.example/muster:0.1.0" = var.image, "registry.example/muster-cuda:0.1.0" = var.cuda_image }

  groups = [for group in local.cluster.workerGroupSpecs : merge(group, {
    replicas    = local.bounds[group.groupName].min
    minReplicas = local.bounds[group.groupName].min
    maxReplicas = local.bounds[group.groupName].max
    template = merge(group.template, {
      spec = merge(group.template.spec, {
        containers = [for container in group.template.spec.containers : merge(container, { image = local.images[container.image] })]
      })
    })
  })]

  rayservice = merge(local.service, {
    spec = merge(local.service.spec, {
      rayClusterConfig = merge(
        { for key, value in local.cluster : key => value if key != "gcsFaultToleranceOptions" },
        var.redis_address == null ? {} : {
          gcsFaultToleranceOptions = merge(local.cluster.gcsFaultToleranceOptions, { redisAddress = var.redis_address })
        },
        {
          workerGroupSpecs = local.groups
          headGroupSpec = merge(local.head, {
            template = merge(local.head.template, {
              metadata = merge(local.head.template.metadata, {
                annotations = merge(local.head.template.metadata.annotations, { "muster.dev/settings" = local.digest })
              })
              spec = merge(local.head.template.spec, {
                containers = [for container in local.head.template.spec.containers : merge(container, { image = local.images[container.image] })]
              })
            })
          })
        },
      )
    })
  })

  secrets = yamldecode(file("${local.folder}/secrets.yaml"))
  external_secret = merge(local.secrets, {
    spec = merge(local.secrets.spec, {
      dataFrom = [for name in [var.secret_name, var.database_secret_name] : { extract = { key = name } }]
    })
  })

  # Training may have as much as all of its pods take.
  training = one([for group in local.groups : group if group.groupName == "training"])
  queue    = one([for text in local.texts : yamldecode(text) if yamldecode(text).kind == "ClusterQueue"])
  quotas = [for name, quantity in local.training.template.spec.containers[0].resources.limits : {
    name         = name
    nominalQuota = "${local.training.maxReplicas * tonumber(regex("^[0-9]+", quantity))}${replace(quantity, "/^[0-9]+/", "")}"
  }]
  cluster_queue = merge(local.queue, {
    spec = merge(local.queue.spec, {
      resourceGroups = [for group in local.queue.spec.resourceGroups : merge(group, {
        flavors = [for flavor in group.flavors : merge(flavor, { resources = local.quotas })]
      })]
    })
  })

  changed = {
    RayService     = yamlencode(local.rayservice)
    ExternalSecret = yamlencode(local.external_secret)
    ClusterQueue   = yamlencode(local.cluster_queue)
  }

  aws = var.secret_store.aws_region != null
  site = [
    {
      apiVersion = "v1"
      kind       = "ConfigMap"
      metadata   = { name = "muster-site", namespace = "muster" }
      data = merge({
        MUSTER_OBJECTS_URI            = var.objects_uri
        MUSTER_ALLOWED_ROOTS          = jsonencode(var.allowed_roots)
        MUSTER_PRELABEL__REPLICAS_MAX = tostring(max(1, local.bounds["gpu"].max + local.bounds["gpu-spot"].max))
      }, var.settings)
    },
    {
      apiVersion = "v1"
      kind       = "ConfigMap"
      metadata   = { name = "muster-database-ca", namespace = "muster" }
      data       = { "ca.pem" = var.database_ca_pem }
    },
    {
      apiVersion = "external-secrets.io/v1"
      kind       = "SecretStore"
      metadata   = { name = "muster", namespace = "muster" }
      spec = {
        provider = { for name, provider in {
          aws   = { service = "SecretsManager", region = var.secret_store.aws_region }
          gcpsm = { projectID = var.secret_store.gcp_project }
        } : name => provider if(name == "aws") == local.aws }
      }
    },
  ]

  # Pods read settings when they start; other settings make another cluster, as other images do.
  digest = sha256(join("\n", concat([file("${local.folder}/settings.yaml")], [for document in local.site : yamlencode(document)])))

  # Where pods get their credentials from is the one thing that only the cloud knows.
  identity = file("${local.folder}/../overlays/${local.aws ? "aws" : "gcp"}/identity.yaml")

  manifests = concat(
    [for text in local.texts : lookup(local.changed, yamldecode(text).kind, text)],
    [for document in local.site : yamlencode(document)],
    [local.identity],
  )
}

# One release of documents, and not kubernetes_manifest: that one asks the cluster for the kinds while it
# plans, when neither the cluster nor the operator need be there yet.
resource "helm_release" "this" {
  name      = "muster"
  chart     = "${path.module}/../../charts/manifests"
  namespace = "default" # of the release; the documents name their own, and bring it
  atomic    = false     # a new cluster takes its time, and KubeRay keeps the old one meanwhile
  wait      = false

  values = [yamlencode({ manifests = local.manifests })]
}
