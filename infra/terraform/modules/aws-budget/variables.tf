variable "name" {
  description = "Prefix of every name: 3 to 24 small letters, digits and hyphens, a letter first."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}$", var.name))
    error_message = "name must be 3 to 24 small letters, digits and hyphens, and begin with a letter."
  }
}

variable "limit_usd" {
  description = "What a month may cost, in US dollars."
  type        = number

  validation {
    condition     = var.limit_usd > 0
    error_message = "limit_usd must be more than 0."
  }
}

variable "emails" {
  description = "Who is told: one to ten addresses."
  type        = list(string)

  validation {
    condition     = length(var.emails) >= 1 && length(var.emails) <= 10 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "emails must be one to ten e-mail addresses."
  }
}

variable "tag" {
  description = "Cost allocation tag whose spending counts, as key and value; the whole account without."
  type = object({
    key   = string
    value = string
  })
  default = null
}
