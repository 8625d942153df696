mock_provider "aws" {
  mock_resource "aws_db_instance" {
    defaults = {
      address            = "muster.example.eu-central-1.rds.amazonaws.com"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1", kms_key_id = "key", secret_status = "active" }]
    }
  }
}

variables {
  name                     = "muster"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  client_security_group_id = "sg-1"
}

run "answers_are_safe_by_default" {
  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.deletion_protection && aws_db_instance.this.backup_retention_period == 14 && !aws_db_instance.this.skip_final_snapshot
    error_message = "a standby, backups and protection are the default"
  }

  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.manage_master_user_password
    error_message = "the database must be encrypted and private, and its password none of Terraform's"
  }

  assert {
    condition = length(setsubtract(
      ["synchronous_commit=on", "rds.force_ssl=1"],
      [for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"],
    )) == 0
    error_message = "commits must be synced, connections by TLS"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.this.referenced_security_group_id == "sg-1" && aws_vpc_security_group_ingress_rule.this.from_port == 5432
    error_message = "only the nodes may connect"
  }
}

run "a_trial_can_be_destroyed" {
  variables {
    standby     = false
    destroyable = true
  }

  assert {
    condition     = !aws_db_instance.this.deletion_protection && aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.final_snapshot_identifier == null
    error_message = "a trial leaves nothing behind"
  }
}

run "a_name_too_short_is_refused" {
  command = plan

  variables {
    name = "m"
  }

  expect_failures = [var.name]
}

run "one_subnet_is_refused" {
  command = plan

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_class_of_ec2_is_refused" {
  command = plan

  variables {
    instance_class = "m7g.large"
  }

  expect_failures = [var.instance_class]
}

run "less_storage_than_rds_takes_is_refused" {
  command = plan

  variables {
    storage_gib = 5
  }

  expect_failures = [var.storage_gib]
}

run "no_backup_is_refused" {
  command = plan

  variables {
    backup_days = 0
  }

  expect_failures = [var.backup_days]
}
