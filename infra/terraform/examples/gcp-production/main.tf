# Three zones, a standby of all that has state, spot GPUs first and others where there are none.

module "network" {
  source = "../../modules/gcp-network"

  name   = var.name
  region = var.region
}

module "cluster" {
  source = "../../modules/gcp-cluster"

  name                = var.name
  project             = var.project
  region              = var.region
  zones               = var.zones
  network_id          = module.network.network_id
  subnetwork_id       = module.network.subnetwork_id
  public_access_cidrs = var.public_access_cidrs
}

module "cpu" {
  source = "../../modules/gcp-node-pool"

  name         = "cpu"
  cluster_name = module.cluster.name
  region       = var.region
  node_account = module.cluster.node_account
  machine_type = "n2-standard-8"
  nodes_min    = 3
  nodes_max    = 16 # ten, and half of them once more while one cluster replaces another
}

module "gpu_spot" {
  source = "../../modules/gcp-node-pool"

  name         = "gpu-spot"
  cluster_name = module.cluster.name
  region       = var.region
  node_account = module.cluster.node_account
  machine_type = "g2-standard-4"
  gpu          = "nvidia-l4"
  spot         = true
  nodes_max    = 16
}

module "gpu" {
  source = "../../modules/gcp-node-pool"

  name         = "gpu"
  cluster_name = module.cluster.name
  region       = var.region
  node_account = module.cluster.node_account
  machine_type = "g2-standard-4"
  gpu          = "nvidia-l4"
  nodes_max    = 4
}

module "objects" {
  source = "../../modules/gcp-objects"

  project           = var.project
  region            = var.region
  bucket            = var.bucket
  deleted_kept_days = 30
}

module "database" {
  source = "../../modules/gcp-database"

  name        = var.name
  project     = var.project
  region      = var.region
  network_id  = module.network.google_network_id
  storage_gib = 400
}

module "redis" {
  source = "../../modules/gcp-redis"

  name       = var.name
  project    = var.project
  region     = var.region
  network_id = module.network.google_network_id
}

module "secrets" {
  source = "../../modules/gcp-secrets"

  project              = var.project
  region               = var.region
  name                 = var.name
  database_host        = module.database.host
  database_credentials = module.database.credentials
  redis_password       = module.redis.password
}

module "muster_identity" {
  source = "../../modules/gcp-identity"

  project         = var.project
  project_number  = module.cluster.project_number
  namespace       = "muster"
  service_account = "muster"
  buckets         = { (module.objects.bucket) = "roles/storage.objectUser" }
}

module "secrets_identity" {
  source = "../../modules/gcp-identity"

  project         = var.project
  project_number  = module.cluster.project_number
  namespace       = "external-secrets"
  service_account = "external-secrets"
  secrets         = module.secrets.ids
}

module "platform" {
  source = "../../modules/platform"

  load_balancer_annotations = { "networking.gke.io/load-balancer-type" = "Internal" }
  metrics_days              = 30
  metrics_gib               = 200

  depends_on = [module.cpu, module.secrets_identity]
}

module "muster" {
  source = "../../modules/muster"

  image                = var.image
  cuda_image           = var.cuda_image
  objects_uri          = "gs://${module.objects.bucket}"
  secret_store         = { gcp_project = var.project }
  secret_name          = module.secrets.name
  database_secret_name = module.secrets.database_name
  database_ca_pem      = module.database.ca_pem
  redis_address        = module.redis.address

  groups = {
    cpu      = { min = 3, max = 10 }
    gpu-spot = { min = 0, max = 12 }
    gpu      = { min = 0, max = 4 }
    training = { min = 0, max = 4 }
  }

  depends_on = [module.platform, module.muster_identity]
}

module "budget" {
  source = "../../modules/gcp-budget"

  name            = var.name
  project         = var.project
  project_number  = module.cluster.project_number
  billing_account = var.billing_account
  limit_usd       = var.budget_usd
  emails          = var.emails
}
