variable "name" {
  description = "Name of the pool, and the value of its nodes' label muster.dev/pool: cpu, gpu or gpu-spot for Muster."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "name must be 2 to 24 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "cluster_name" {
  description = "The EKS cluster that the nodes join."
  type        = string
}

variable "node_role_arn" {
  description = "IAM role of the nodes."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", var.node_role_arn))
    error_message = "node_role_arn must be the ARN of an IAM role."
  }
}

variable "subnet_ids" {
  description = "Subnets of the nodes."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids must name a subnet."
  }
}

variable "instance_types" {
  description = "Instance types of one size, in order of preference; more of them find spot capacity sooner."
  type        = list(string)

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for type in var.instance_types : can(regex("^[a-z0-9-]+\\.[a-z0-9]+$", type))])
    error_message = "instance_types must be EC2 instance types, such as g6.xlarge."
  }
}

variable "spot" {
  description = "Whether to use spot instances, which may be taken away after two minutes' notice."
  type        = bool
  default     = false
}

variable "gpu" {
  description = "Whether the instances have NVIDIA GPUs: their image has drivers, and a taint keeps other pods away."
  type        = bool
  default     = false
}

variable "nodes_min" {
  description = "Fewest nodes; 0 costs nothing while nobody needs them."
  type        = number
  default     = 0

  validation {
    condition     = var.nodes_min >= 0 && floor(var.nodes_min) == var.nodes_min
    error_message = "nodes_min must be a whole number of at least 0."
  }
}

variable "nodes_max" {
  description = "Most nodes: the bound on what the pool can cost."
  type        = number

  validation {
    condition     = var.nodes_max >= 1 && var.nodes_max <= 450 && floor(var.nodes_max) == var.nodes_max
    error_message = "nodes_max must be a whole number from 1 to 450, EKS's own limit of a group."
  }

  validation {
    condition     = var.nodes_max >= var.nodes_min
    error_message = "nodes_max must not be below nodes_min."
  }
}

variable "disk_gib" {
  description = "Size of each node's disk for images and scratch, in GiB."
  type        = number
  default     = 100

  validation {
    condition     = var.disk_gib >= 50 && var.disk_gib <= 2000
    error_message = "disk_gib must be from 50 (the CUDA image and scratch space) to 2000."
  }
}
