mock_provider "helm" {}
mock_provider "random" {}

variables {
  load_balancer_annotations = { "service.beta.kubernetes.io/aws-load-balancer-internal" = "true" }
}

run "everything_the_rayservice_needs_is_there" {
  assert {
    condition     = helm_release.kuberay.version == "1.7.0" && length(helm_release.cluster_autoscaler) == 0
    error_message = "KubeRay 1.7, and no autoscaler where the cloud has its own"
  }

  assert {
    condition     = yamldecode(yamldecode(helm_release.kueue.values[0]).managerConfig.controllerManagerConfigYaml).integrations.frameworks == ["pod"]
    error_message = "Kueue must hold back single pods"
  }

  assert {
    condition     = length([for text in yamldecode(helm_release.gateway_class.values[0]).manifests : text if yamldecode(text).kind == "GatewayClass" && yamldecode(text).metadata.name == "envoy"]) == 1
    error_message = "the RayService asks for the gateway class envoy"
  }

  assert {
    condition     = strcontains(helm_release.gateway_class.values[0], "aws-load-balancer-internal")
    error_message = "the load balancer must be internal"
  }
}

run "eks_gets_an_autoscaler" {
  variables {
    cluster_autoscaler = { cluster_name = "muster", region = "eu-central-1" }
  }

  assert {
    condition     = yamldecode(helm_release.cluster_autoscaler[0].values[0]).autoDiscovery.clusterName == "muster"
    error_message = "the autoscaler must find its groups"
  }
}

run "a_version_that_is_not_exact_is_refused" {
  command = plan

  variables {
    chart_versions = { kueue = "latest" }
  }

  expect_failures = [var.chart_versions]
}

run "an_operator_too_old_is_refused" {
  command = plan

  variables {
    chart_versions = { kuberay_operator = "1.5.1" }
  }

  expect_failures = [var.chart_versions]
}

run "what_is_no_region_is_refused" {
  command = plan

  variables {
    cluster_autoscaler = { cluster_name = "muster", region = "Frankfurt" }
  }

  expect_failures = [var.cluster_autoscaler]
}

run "a_public_load_balancer_is_refused" {
  command = plan

  variables {
    load_balancer_annotations = {}
  }

  expect_failures = [var.load_balancer_annotations]
}

run "metrics_that_are_not_kept_are_refused" {
  command = plan

  variables {
    metrics_days = 0
  }

  expect_failures = [var.metrics_days]
}

run "too_small_a_disk_is_refused" {
  command = plan

  variables {
    metrics_gib = 1
  }

  expect_failures = [var.metrics_gib]
}
