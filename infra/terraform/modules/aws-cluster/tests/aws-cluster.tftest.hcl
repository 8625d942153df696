mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = {
      name                  = "muster"
      endpoint              = "https://example.eks.amazonaws.com"
      certificate_authority = [{ data = "Y2VydGlmaWNhdGU=" }]
    }
  }
}

variables {
  name       = "muster"
  subnet_ids = ["subnet-1", "subnet-2"]
}

run "the_api_is_private_unless_somebody_is_named" {
  variables {
    admin_role_arns = ["arn:aws:iam::123456789012:role/admin"]
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "the API must not be public by default"
  }

  assert {
    condition     = one(aws_eks_cluster.this.encryption_config).resources == toset(["secrets"])
    error_message = "secrets must be encrypted"
  }

  assert {
    condition     = length(aws_eks_access_policy_association.admins) == 1
    error_message = "an administrator who is named must be one"
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "network policies must be enforced"
  }

  assert {
    condition     = output.ca_certificate == "certificate"
    error_message = "the certificate must be decoded"
  }
}

run "ranges_open_the_api_to_them_alone" {
  variables {
    public_access_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "the API must be open to the given range, and to no other"
  }
}

run "a_name_that_begins_with_a_digit_is_refused" {
  command = plan

  variables {
    name = "1st"
  }

  expect_failures = [var.name]
}

run "an_old_version_is_refused" {
  command = plan

  variables {
    kubernetes_version = "1.29"
  }

  expect_failures = [var.kubernetes_version]
}

run "one_subnet_is_refused" {
  command = plan

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [var.subnet_ids]
}

run "the_whole_internet_is_refused" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}

run "a_user_as_administrator_is_refused" {
  command = plan

  variables {
    admin_role_arns = ["arn:aws:iam::123456789012:user/ann"]
  }

  expect_failures = [var.admin_role_arns]
}

run "days_that_cloudwatch_does_not_know_are_refused" {
  command = plan

  variables {
    log_days = 3
  }

  expect_failures = [var.log_days]
}
