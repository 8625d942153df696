locals {
  on_cpu_nodes = { "muster.dev/pool" = "cpu" }

  # The whole of its configuration, as the chart takes no part of it: single pods of namespaces that
  # say so wait in queues, and nothing else does.
  kueue = {
    apiVersion     = "config.kueue.x-k8s.io/v1beta2"
    kind           = "Configuration"
    health         = { healthProbeBindAddress = ":8081" }
    metrics        = { bindAddress = ":8443", enableClusterQueueResources = true }
    webhook        = { port = 9443 }
    leaderElection = { leaderElect = true, resourceName = "c1f6bfd2.kueue.x-k8s.io" }
    integrations   = { frameworks = ["pod"] }

    managedJobsNamespaceSelector = { matchLabels = { "kueue.x-k8s.io/managed" = "true" } }
  }

  # KubeRay makes a Gateway of this class for the RayService, and moves weights along its route.
  gateway = [
    {
      apiVersion = "gateway.envoyproxy.io/v1alpha1"
      kind       = "EnvoyProxy"
      metadata   = { name = "muster", namespace = helm_release.envoy_gateway.namespace }
      spec = {
        provider = {
          type = "Kubernetes"
          kubernetes = {
            envoyService    = { type = "LoadBalancer", annotations = var.load_balancer_annotations }
            envoyDeployment = { replicas = 2 }
          }
        }
      }
    },
    {
      apiVersion = "gateway.networking.k8s.io/v1"
      kind       = "GatewayClass"
      metadata   = { name = "envoy" }
      spec = {
        controllerName = "gateway.envoyproxy.io/gatewayclass-controller"
        parametersRef = {
          group     = "gateway.envoyproxy.io"
          kind      = "EnvoyProxy"
          name      = "muster"
          namespace = helm_release.envoy_gateway.namespace
        }
      }
    },
  ]
}

resource "helm_release" "prometheus" {
  name             = "kube-prometheus-stack"
  repository       = "https://prometheus-community.github.io/helm-charts"
  chart            = "kube-prometheus-stack"
  version          = var.chart_versions.kube_prometheus_stack
  namespace        = "monitoring"
  create_namespace = true
  atomic           = true
  timeout          = 900

  values = [yamlencode({
    grafana = { adminPassword = random_password.grafana.result }
    prometheus = {
      prometheusSpec = {
        retention     = "${var.metrics_days}d"
        retentionSize = "${floor(var.metrics_gib * 0.85)}GB"
        storageSpec = {
          volumeClaimTemplate = {
            spec = {
              accessModes = ["ReadWriteOnce"]
              resources   = { requests = { storage = "${var.metrics_gib}Gi" } }
            }
          }
        }
      }
    }
  })]
}

resource "random_password" "grafana" {
  length  = 32
  special = false
}

resource "helm_release" "external_secrets" {
  name             = "external-secrets"
  repository       = "https://charts.external-secrets.io"
  chart            = "external-secrets"
  version          = var.chart_versions.external_secrets
  namespace        = "external-secrets"
  create_namespace = true
  atomic           = true

  values = [yamlencode({
    installCRDs    = true
    serviceAccount = { name = "external-secrets" }
  })]
}

resource "helm_release" "kueue" {
  name             = "kueue"
  repository       = "oci://registry.k8s.io/kueue/charts"
  chart            = "kueue"
  version          = var.chart_versions.kueue
  namespace        = "kueue-system"
  create_namespace = true
  atomic           = true

  values = [yamlencode({
    managerConfig = { controllerManagerConfigYaml = yamlencode(local.kueue) }
  })]
}

resource "helm_release" "envoy_gateway" {
  name             = "envoy-gateway"
  repository       = "oci://docker.io/envoyproxy"
  chart            = "gateway-helm"
  version          = var.chart_versions.envoy_gateway
  namespace        = "envoy-gateway-system"
  create_namespace = true
  atomic           = true
}

resource "helm_release" "gateway_class" {
  name      = "gateway-class"
  chart     = "${path.module}/../../charts/manifests"
  namespace = helm_release.envoy_gateway.namespace
  atomic    = true

  values = [yamlencode({ manifests = [for document in local.gateway : yamlencode(document)] })]
}

resource "helm_release" "kuberay" {
  name             = "kuberay-operator"
  repository       = "https://ray-project.github.io/kuberay-helm"
  chart            = "kuberay-operator"
  version          = var.chart_versions.kuberay_operator
  namespace        = "kuberay-system"
  create_namespace = true
  atomic           = true

  values = [yamlencode({
    nodeSelector   = local.on_cpu_nodes
    watchNamespace = ["muster"]
    resources = {
      requests = { cpu = "100m", memory = "512Mi" }
      limits   = { memory = "512Mi" }
    }
    metrics = { serviceMonitor = { enabled = true, selector = { release = "kube-prometheus-stack" } } }
  })]

  depends_on = [helm_release.gateway_class, helm_release.prometheus]
}

resource "helm_release" "cluster_autoscaler" {
  count = var.cluster_autoscaler == null ? 0 : 1

  name       = "cluster-autoscaler"
  repository = "https://kubernetes.github.io/autoscaler"
  chart      = "cluster-autoscaler"
  version    = var.chart_versions.cluster_autoscaler
  namespace  = "kube-system"
  atomic     = true

  values = [yamlencode({
    cloudProvider = "aws"
    awsRegion     = var.cluster_autoscaler.region
    autoDiscovery = { clusterName = var.cluster_autoscaler.cluster_name }
    nodeSelector  = local.on_cpu_nodes
    rbac          = { serviceAccount = { name = "cluster-autoscaler" } }
    extraArgs = {
      # Ray ends its idle pods itself; a node without them is not kept.
      "scale-down-unneeded-time"      = "5m"
      "balance-similar-node-groups"   = true
      "skip-nodes-with-system-pods"   = false
      "skip-nodes-with-local-storage" = false
    }
  })]
}
