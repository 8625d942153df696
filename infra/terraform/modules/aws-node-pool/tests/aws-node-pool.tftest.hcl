mock_provider "aws" {
  mock_resource "aws_eks_node_group" {
    defaults = {
      resources = [{ autoscaling_groups = [{ name = "group" }], remote_access_security_group_id = "" }]
    }
  }
}

variables {
  name           = "gpu-spot"
  cluster_name   = "muster"
  node_role_arn  = "arn:aws:iam::123456789012:role/example"
  subnet_ids     = ["subnet-1"]
  instance_types = ["g6.xlarge", "g5.xlarge"]
  spot           = true
  gpu            = true
  nodes_max      = 8
}

run "gpu_nodes_have_drivers_and_a_taint_and_may_be_none" {
  assert {
    condition     = aws_eks_node_group.this.ami_type == "BOTTLEROCKET_x86_64_NVIDIA" && aws_eks_node_group.this.capacity_type == "SPOT"
    error_message = "a GPU pool needs an image with drivers, a spot pool spot instances"
  }

  assert {
    condition     = one(aws_eks_node_group.this.taint).key == "nvidia.com/gpu" && aws_eks_node_group.this.labels["muster.dev/pool"] == "gpu-spot"
    error_message = "a GPU pool needs its taint and its label"
  }

  assert {
    condition     = aws_eks_node_group.this.scaling_config[0].min_size == 0 && aws_eks_node_group.this.scaling_config[0].max_size == 8
    error_message = "the pool must shrink to none and grow to its bound"
  }

  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_tokens == "required" && aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "pods must not reach the node's credentials"
  }
}

run "other_nodes_have_neither" {
  variables {
    name           = "cpu"
    instance_types = ["m7i.2xlarge"]
    spot           = false
    gpu            = false
    nodes_min      = 2
  }

  assert {
    condition     = aws_eks_node_group.this.ami_type == "BOTTLEROCKET_x86_64" && aws_eks_node_group.this.capacity_type == "ON_DEMAND" && length(aws_eks_node_group.this.taint) == 0
    error_message = "processors' nodes are for everybody"
  }
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "GPU"
  }

  expect_failures = [var.name]
}

run "a_role_by_its_name_is_refused" {
  command = plan

  variables {
    node_role_arn = "nodes"
  }

  expect_failures = [var.node_role_arn]
}

run "no_subnet_is_refused" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [var.subnet_ids]
}

run "a_type_without_a_size_is_refused" {
  command = plan

  variables {
    instance_types = ["g6"]
  }

  expect_failures = [var.instance_types]
}

run "fewer_than_no_nodes_are_refused" {
  command = plan

  variables {
    nodes_min = -1
  }

  expect_failures = [var.nodes_min]
}

run "more_nodes_than_eks_allows_are_refused" {
  command = plan

  variables {
    nodes_max = 1000
  }

  expect_failures = [var.nodes_max]
}

run "a_disk_too_small_for_the_image_is_refused" {
  command = plan

  variables {
    disk_gib = 10
  }

  expect_failures = [var.disk_gib]
}

run "a_bound_below_the_fewest_is_refused" {
  command = plan

  variables {
    nodes_min = 4
    nodes_max = 2
  }

  expect_failures = [var.nodes_max]
}
