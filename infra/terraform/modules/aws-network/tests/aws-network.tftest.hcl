mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
}

variables {
  name  = "muster"
  zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
}

run "every_zone_has_its_subnets_and_all_share_one_nat" {
  assert {
    condition     = length(aws_subnet.nodes) == 3 && length(aws_subnet.data) == 3 && length(aws_nat_gateway.this) == 1
    error_message = "three zones need three subnets of each kind, and one NAT gateway by default"
  }

  assert {
    condition     = length(distinct(concat(values(local.node_ranges), values(local.public_ranges), values(local.data_ranges)))) == 9
    error_message = "ranges overlap"
  }

  assert {
    condition     = local.node_ranges["eu-central-1b"] == "10.40.32.0/19" && local.data_ranges["eu-central-1a"] == "10.40.224.0/22"
    error_message = "ranges are not where they were: subnets would be replaced"
  }

  assert {
    condition     = !contains([for association in aws_route_table_association.nodes : association.subnet_id], aws_subnet.data["eu-central-1a"].id)
    error_message = "subnets of databases must have no way out"
  }

  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3"
    error_message = "objects must not go through the NAT gateway"
  }
}

run "each_zone_may_have_its_own_nat" {
  variables {
    nat_per_zone = true
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "three zones, three gateways"
  }
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "Muster"
  }

  expect_failures = [var.name]
}

run "a_range_that_the_policies_do_not_know_is_refused" {
  command = plan

  variables {
    cidr = "192.168.0.0/16"
  }

  expect_failures = [var.cidr]
}

run "a_range_too_small_is_refused" {
  command = plan

  variables {
    cidr = "10.0.0.0/24"
  }

  expect_failures = [var.cidr]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    zones = ["eu-central-1a"]
  }

  expect_failures = [var.zones]
}

run "days_that_cloudwatch_does_not_know_are_refused" {
  command = plan

  variables {
    flow_log_days = 42
  }

  expect_failures = [var.flow_log_days]
}
