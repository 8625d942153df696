variable "image" {
  description = "Muster's image for nodes without GPUs, by tag or, better, digest."
  type        = string

  validation {
    condition     = can(regex("^[^: ]+(:[0-9]+/[^: ]+)?(:[^:@ ]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image must name a tag other than latest, or a sha256 digest."
  }
}

variable "cuda_image" {
  description = "Muster's image for nodes with GPUs, of the same version."
  type        = string

  validation {
    condition     = can(regex("^[^: ]+(:[0-9]+/[^: ]+)?(:[^:@ ]+|@sha256:[0-9a-f]{64})$", var.cuda_image)) && !endswith(var.cuda_image, ":latest")
    error_message = "cuda_image must name a tag other than latest, or a sha256 digest."
  }
}

variable "objects_uri" {
  description = "Where objects lie: s3://bucket?region=… or gs://bucket."
  type        = string

  validation {
    condition     = can(regex("^(s3://[a-z0-9.-]+.*[?&]region=[a-z0-9-]+|gs://[a-z0-9._-]+.*)$", var.objects_uri))
    error_message = "objects_uri must be s3://bucket with ?region=, or gs://bucket."
  }
}

variable "allowed_roots" {
  description = "Buckets that jobs may read from, such as s3://incoming."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for root in var.allowed_roots : can(regex("^(s3|gs)://[a-z0-9._-]+", root))])
    error_message = "allowed_roots must be buckets: s3://… or gs://…."
  }
}

variable "secret_store" {
  description = "Where secrets are: the AWS region of Secrets Manager, or the project of GCP's Secret Manager; one of both."
  type = object({
    aws_region  = optional(string)
    gcp_project = optional(string)
  })

  validation {
    condition     = (var.secret_store.aws_region == null) != (var.secret_store.gcp_project == null)
    error_message = "secret_store must have either aws_region or gcp_project."
  }
}

variable "secret_name" {
  description = "Secret with database_host, encryption_key, lease_secret and redis_password."
  type        = string
  default     = "muster"
}

variable "database_secret_name" {
  description = "Secret with username and password of the database."
  type        = string
  default     = "muster-database"
}

variable "database_ca_pem" {
  description = "Certificate authority of the database server, PEM, by which its identity is checked."
  type        = string

  validation {
    condition     = strcontains(var.database_ca_pem, "-----BEGIN CERTIFICATE-----")
    error_message = "database_ca_pem must be a PEM certificate, not its file's name."
  }
}

variable "redis_address" {
  description = "Redis in which the head keeps its state (rediss://host:port); without, a lost head starts the cluster anew."
  type        = string
  default     = null

  validation {
    condition     = var.redis_address == null || can(regex("^rediss?://[^:/]+:[0-9]+$", var.redis_address))
    error_message = "redis_address must be redis://host:port or rediss://host:port."
  }
}

variable "groups" {
  description = "Fewest and most pods of the groups that shall differ from infra/k8s: cpu, gpu, gpu-spot, training."
  type = map(object({
    min = number
    max = number
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.groups), ["cpu", "gpu", "gpu-spot", "training"])) == 0
    error_message = "groups must be some of cpu, gpu, gpu-spot and training."
  }

  validation {
    condition     = alltrue([for bounds in values(var.groups) : bounds.min >= 0 && bounds.max >= bounds.min])
    error_message = "groups must have a min of at least 0 and a max of at least min."
  }
}

variable "settings" {
  description = "Settings of Muster that shall differ (docs/operations.md), by the names of their variables."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^MUSTER_[A-Z0-9_]+$", name))])
    error_message = "settings must have names such as MUSTER_HTTP__REPLICAS."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), ["MUSTER_DATABASE_URL", "MUSTER_ENCRYPTION_KEYS", "MUSTER_LEASE_SECRET"])) == 0
    error_message = "settings must not hold secrets; those come from the secret store."
  }
}
