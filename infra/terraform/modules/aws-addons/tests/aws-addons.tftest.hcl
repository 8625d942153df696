mock_provider "aws" {}

variables {
  cluster_name = "muster"
}

run "the_autoscaler_may_change_its_own_cluster_alone" {
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.autoscaler.policy).Statement :
      can(statement.Condition) || alltrue([for action in statement.Action : can(regex(":(Describe|Get)", action))])
    ])
    error_message = "whatever changes something must have a condition"
  }

  assert {
    condition     = aws_eks_pod_identity_association.autoscaler.service_account == "cluster-autoscaler"
    error_message = "the module platform names the account so"
  }
}

run "no_cluster_is_refused" {
  command = plan

  variables {
    cluster_name = ""
  }

  expect_failures = [var.cluster_name]
}
