# A trial: one zone's NAT, one database server, two spot GPUs at most, and all of it can be destroyed.

locals {
  zones = ["${var.region}a", "${var.region}b"]
}

module "network" {
  source = "../../modules/aws-network"

  name  = var.name
  zones = local.zones
}

module "cluster" {
  source = "../../modules/aws-cluster"

  name                = var.name
  subnet_ids          = module.network.node_subnet_ids
  public_access_cidrs = var.public_access_cidrs
  log_days            = 7
}

module "cpu" {
  source = "../../modules/aws-node-pool"

  name           = "cpu"
  cluster_name   = module.cluster.name
  node_role_arn  = module.cluster.node_role_arn
  subnet_ids     = module.network.node_subnet_ids
  instance_types = ["m7i.2xlarge", "m6i.2xlarge"]
  nodes_min      = 2
  nodes_max      = 4
}

module "gpu_spot" {
  source = "../../modules/aws-node-pool"

  name           = "gpu-spot"
  cluster_name   = module.cluster.name
  node_role_arn  = module.cluster.node_role_arn
  subnet_ids     = module.network.node_subnet_ids
  instance_types = ["g6.xlarge", "g5.xlarge"]
  spot           = true
  gpu            = true
  nodes_max      = 2
}

module "addons" {
  source = "../../modules/aws-addons"

  cluster_name = module.cluster.name

  depends_on = [module.cpu]
}

module "objects" {
  source = "../../modules/aws-objects"

  bucket      = var.bucket
  destroyable = true
}

module "database" {
  source = "../../modules/aws-database"

  name                     = var.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.data_subnet_ids
  client_security_group_id = module.cluster.security_group_id
  instance_class           = "db.t4g.medium"
  storage_gib              = 20
  standby                  = false
  backup_days              = 1
  destroyable              = true
}

module "secrets" {
  source = "../../modules/aws-secrets"

  name          = var.name
  database_host = module.database.host
  recovery_days = 0
}

module "muster_identity" {
  source = "../../modules/aws-identity"

  name            = "${var.name}-service"
  cluster_name    = module.cluster.name
  namespace       = "muster"
  service_account = "muster"
  statements      = module.objects.access
}

module "secrets_identity" {
  source = "../../modules/aws-identity"

  name            = "${var.name}-secrets"
  cluster_name    = module.cluster.name
  namespace       = "external-secrets"
  service_account = "external-secrets"
  statements      = concat(module.secrets.access, module.database.secret_access)
}

module "platform" {
  source = "../../modules/platform"

  cluster_autoscaler        = { cluster_name = module.cluster.name, region = var.region }
  load_balancer_annotations = { "service.beta.kubernetes.io/aws-load-balancer-internal" = "true" }
  metrics_days              = 3
  metrics_gib               = 20

  depends_on = [module.cpu, module.addons, module.secrets_identity]
}

module "muster" {
  source = "../../modules/muster"

  image                = var.image
  cuda_image           = var.cuda_image
  objects_uri          = "s3://${module.objects.bucket}?region=${var.region}"
  secret_store         = { aws_region = var.region }
  secret_name          = module.secrets.name
  database_secret_name = module.database.secret_name
  database_ca_pem      = var.database_ca_pem

  groups = {
    cpu      = { min = 2, max = 3 }
    gpu-spot = { min = 0, max = 2 }
    gpu      = { min = 0, max = 0 }
    training = { min = 0, max = 1 }
  }
  settings = {
    MUSTER_HTTP__REPLICAS    = "1"
    MUSTER_ALLOCATOR__SHARDS = "1"
    MUSTER_RUNNER__JOBS_MAX  = "8"
  }

  depends_on = [module.platform, module.muster_identity]
}

module "budget" {
  source = "../../modules/aws-budget"

  name      = var.name
  limit_usd = 1000
  emails    = var.emails
}
