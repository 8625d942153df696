# Three zones, a standby of all that has state, spot GPUs first and others where there are none.

locals {
  zones = ["${var.region}a", "${var.region}b", "${var.region}c"]
}

module "network" {
  source = "../../modules/aws-network"

  name         = var.name
  zones        = local.zones
  nat_per_zone = true
}

module "cluster" {
  source = "../../modules/aws-cluster"

  name                = var.name
  subnet_ids          = module.network.node_subnet_ids
  public_access_cidrs = var.public_access_cidrs
  admin_role_arns     = var.admin_role_arns
}

module "cpu" {
  source = "../../modules/aws-node-pool"

  name           = "cpu"
  cluster_name   = module.cluster.name
  node_role_arn  = module.cluster.node_role_arn
  subnet_ids     = module.network.node_subnet_ids
  instance_types = ["m7i.2xlarge", "m6i.2xlarge"]
  nodes_min      = 3
  nodes_max      = 16 # ten, and half of them once more while one cluster replaces another
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
  nodes_max      = 16
}

module "gpu" {
  source = "../../modules/aws-node-pool"

  name           = "gpu"
  cluster_name   = module.cluster.name
  node_role_arn  = module.cluster.node_role_arn
  subnet_ids     = module.network.node_subnet_ids
  instance_types = ["g6.xlarge"]
  gpu            = true
  nodes_max      = 4
}

module "addons" {
  source = "../../modules/aws-addons"

  cluster_name = module.cluster.name

  depends_on = [module.cpu]
}

module "objects" {
  source = "../../modules/aws-objects"

  bucket            = var.bucket
  deleted_kept_days = 30
}

module "database" {
  source = "../../modules/aws-database"

  name                     = var.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.data_subnet_ids
  client_security_group_id = module.cluster.security_group_id
  instance_class           = "db.m7g.xlarge"
  storage_gib              = 400
  backup_days              = 30
}

module "redis" {
  source = "../../modules/aws-redis"

  name                     = var.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.data_subnet_ids
  client_security_group_id = module.cluster.security_group_id
}

module "secrets" {
  source = "../../modules/aws-secrets"

  name           = var.name
  database_host  = module.database.host
  redis_password = module.redis.password
}

module "muster_identity" {
  source = "../../modules/aws-identity"

  name            = "${var.name}-service"
  cluster_name    = module.cluster.name
  namespace       = "muster"
  service_account = "muster"
  statements = concat(module.objects.access, [for root in var.allowed_roots : {
    actions   = ["s3:ListBucket", "s3:GetObject"]
    resources = [replace(split("?", root)[0], "s3://", "arn:aws:s3:::"), "${replace(split("?", root)[0], "s3://", "arn:aws:s3:::")}/*"]
  }])
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
  metrics_days              = 30
  metrics_gib               = 200

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
  redis_address        = module.redis.address
  allowed_roots        = var.allowed_roots

  groups = {
    cpu      = { min = 3, max = 10 }
    gpu-spot = { min = 0, max = 12 }
    gpu      = { min = 0, max = 4 }
    training = { min = 0, max = 4 }
  }

  depends_on = [module.platform, module.muster_identity]
}

module "budget" {
  source = "../../modules/aws-budget"

  name      = var.name
  limit_usd = var.budget_usd
  emails    = var.emails
  tag       = { key = "project", value = var.name }
}
