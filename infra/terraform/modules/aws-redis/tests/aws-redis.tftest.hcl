mock_provider "aws" {
  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "muster.cache.amazonaws.com" }
  }
}

mock_provider "random" {}

variables {
  name                     = "muster"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  client_security_group_id = "sg-1"
}

run "the_heads_state_is_encrypted_and_survives_a_zone" {
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && tobool(aws_elasticache_replication_group.this.at_rest_encryption_enabled)
    error_message = "state must be encrypted under way and at rest"
  }

  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.num_cache_clusters == 2
    error_message = "a second server must take over"
  }

  assert {
    condition     = output.address == "rediss://muster.cache.amazonaws.com:6379"
    error_message = "Ray must find it by TLS"
  }

  assert {
    condition     = one(aws_elasticache_parameter_group.this.parameter).value == "noeviction"
    error_message = "nothing may be forgotten"
  }
}

run "a_name_with_a_space_is_refused" {
  command = plan

  variables {
    name = "my redis"
  }

  expect_failures = [var.name]
}

run "no_subnet_is_refused" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [var.subnet_ids]
}

run "a_type_of_ec2_is_refused" {
  command = plan

  variables {
    node_type = "t4g.small"
  }

  expect_failures = [var.node_type]
}
