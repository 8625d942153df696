variable "name" {
  description = "Prefix of every name: 3 to 24 small letters, digits and hyphens, a letter first."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "project" {
  description = "GCP project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be the id of a GCP project."
  }
}

variable "project_number" {
  description = "Number of the project whose spending counts."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must be the project's number, not its id."
  }
}

variable "billing_account" {
  description = "The billing account that pays, such as 012345-6789AB-CDEF01."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must be three groups of six hexadecimal digits."
  }
}

variable "limit_usd" {
  description = "What a month may cost, in US dollars."
  type        = number

  validation {
    condition     = var.limit_usd >= 1 && floor(var.limit_usd) == var.limit_usd
    error_message = "limit_usd must be a whole number of at least 1."
  }
}

variable "emails" {
  description = "Who is told: one to five addresses."
  type        = list(string)

  validation {
    condition     = length(var.emails) >= 1 && length(var.emails) <= 5 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails must be one to five e-mail addresses."
  }
}
