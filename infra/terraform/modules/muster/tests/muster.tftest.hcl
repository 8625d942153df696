mock_provider "helm" {}

variables {
  image           = "registry.example/muster:0.2.0"
  cuda_image      = "registry.example/muster-cuda:0.2.0"
  objects_uri     = "s3://example-muster-objects?region=eu-central-1"
  secret_store    = { aws_region = "eu-central-1" }
  database_ca_pem = "-----BEGIN CERTIFICATE-----"
}

run "the_documents_are_those_of_infra_k8s_with_this_sites_images" {
  variables {
    redis_address = "rediss://redis.example.com:6379"
    groups        = { gpu-spot = { min = 1, max = 20 }, training = { min = 0, max = 2 } }
    settings      = { MUSTER_HTTP__REPLICAS = "8" }
  }

  assert {
    condition     = local.rayservice.spec.rayClusterConfig.headGroupSpec.template.spec.containers[0].image == "registry.example/muster:0.2.0"
    error_message = "the head must have the given image"
  }

  assert {
    condition = [for group in local.rayservice.spec.rayClusterConfig.workerGroupSpecs : "${group.groupName} ${group.template.spec.containers[0].image} ${group.minReplicas} ${group.maxReplicas}"] == [
      "cpu registry.example/muster:0.2.0 2 10",
      "gpu-spot registry.example/muster-cuda:0.2.0 1 20",
      "gpu registry.example/muster-cuda:0.2.0 0 4",
      "training registry.example/muster-cuda:0.2.0 0 2",
    ]
    error_message = "groups must have the given images and bounds, and else those of infra/k8s"
  }

  assert {
    condition     = local.rayservice.spec.rayClusterConfig.gcsFaultToleranceOptions.redisAddress == "rediss://redis.example.com:6379"
    error_message = "the head must keep its state where it is told"
  }

  assert {
    condition     = local.rayservice.spec.serveConfigV2 == local.service.spec.serveConfigV2
    error_message = "the Serve config is the one that is tested"
  }

  assert {
    condition     = local.site[0].data.MUSTER_PRELABEL__REPLICAS_MAX == "24" && local.site[0].data.MUSTER_HTTP__REPLICAS == "8"
    error_message = "there are as many replicas as GPUs for them; settings must reach Muster"
  }

  assert {
    condition     = length(local.manifests) == length(local.texts) + 4 && alltrue([for text in local.manifests : can(yamldecode(text).kind)])
    error_message = "every document must be installed, and be one"
  }

  assert {
    condition     = { for quota in local.quotas : quota.name => quota.nominalQuota } == { cpu = "6", memory = "24Gi", ephemeral-storage = "40Gi", "nvidia.com/gpu" = "2" }
    error_message = "training may have what its two pods take"
  }

  assert {
    condition     = local.external_secret.spec.dataFrom[0].extract.key == "muster" && keys(local.site[2].spec.provider) == ["aws"]
    error_message = "secrets must come from the given store"
  }

  assert {
    condition     = strcontains(local.identity, "169.254.170.23/32")
    error_message = "pods must reach the agent of pod identity"
  }
}

run "without_redis_the_head_keeps_its_state_in_memory" {
  variables {
    secret_store = { gcp_project = "example-project" }
    objects_uri  = "gs://example-muster-objects"
  }

  assert {
    condition     = !can(local.rayservice.spec.rayClusterConfig.gcsFaultToleranceOptions)
    error_message = "no Redis, no fault tolerance of the head"
  }

  assert {
    condition     = keys(local.site[2].spec.provider) == ["gcpsm"] && strcontains(local.identity, "169.254.169.252/32")
    error_message = "GCP has its own store and its own metadata server"
  }
}

run "another_setting_makes_another_cluster" {
  assert {
    condition     = local.rayservice.spec.rayClusterConfig.headGroupSpec.template.metadata.annotations["muster.dev/settings"] != run.the_documents_are_those_of_infra_k8s_with_this_sites_images.settings_digest
    error_message = "pods would never read the new setting"
  }

  assert {
    condition     = length(local.rayservice.spec.rayClusterConfig.headGroupSpec.template.metadata.annotations) == 2
    error_message = "the annotation that keeps the head from being evicted must stay"
  }
}

run "an_image_without_a_tag_is_refused" {
  command = plan

  variables {
    image = "registry.example/muster"
  }

  expect_failures = [var.image]
}

run "the_latest_image_is_refused" {
  command = plan

  variables {
    cuda_image = "registry.example/muster-cuda:latest"
  }

  expect_failures = [var.cuda_image]
}

run "a_bucket_without_a_region_is_refused" {
  command = plan

  variables {
    objects_uri = "s3://bucket"
  }

  expect_failures = [var.objects_uri]
}

run "a_folder_as_a_root_is_refused" {
  command = plan

  variables {
    allowed_roots = ["file:///data"]
  }

  expect_failures = [var.allowed_roots]
}

run "two_stores_are_refused" {
  command = plan

  variables {
    secret_store = { aws_region = "eu-central-1", gcp_project = "example" }
  }

  expect_failures = [var.secret_store]
}

run "a_files_name_as_a_certificate_is_refused" {
  command = plan

  variables {
    database_ca_pem = "global-bundle.pem"
  }

  expect_failures = [var.database_ca_pem]
}

run "an_address_without_a_scheme_is_refused" {
  command = plan

  variables {
    redis_address = "redis.example.com"
  }

  expect_failures = [var.redis_address]
}

run "an_unknown_group_is_refused" {
  command = plan

  variables {
    groups = { tpu = { min = 0, max = 1 } }
  }

  expect_failures = [var.groups]
}

run "a_bound_below_the_fewest_is_refused" {
  command = plan

  variables {
    groups = { gpu = { min = 2, max = 1 } }
  }

  expect_failures = [var.groups]
}

run "what_is_no_setting_is_refused" {
  command = plan

  variables {
    settings = { HTTP_REPLICAS = "1" }
  }

  expect_failures = [var.settings]
}

run "a_secret_among_the_settings_is_refused" {
  command = plan

  variables {
    settings = { MUSTER_LEASE_SECRET = "x" }
  }

  expect_failures = [var.settings]
}
