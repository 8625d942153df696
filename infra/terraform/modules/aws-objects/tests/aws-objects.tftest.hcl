mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::example-muster-objects" }
  }
}

variables {
  bucket = "example-muster-objects"
}

run "objects_are_encrypted_private_and_can_be_brought_back" {
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "objects must be encrypted by the module's key"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.this.restrict_public_buckets && aws_s3_bucket_public_access_block.this.block_public_policy
    error_message = "nothing may make the bucket public"
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "calls without TLS must be denied"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.this.force_destroy
    error_message = "what is deleted must be kept a while"
  }

  assert {
    condition     = alltrue([for statement in output.access : !contains(statement.resources, "*")])
    error_message = "access must be to this bucket alone"
  }
}

run "a_name_that_s3_does_not_take_is_refused" {
  command = plan

  variables {
    bucket = "Example_Bucket"
  }

  expect_failures = [var.bucket]
}

run "no_time_to_notice_is_refused" {
  command = plan

  variables {
    deleted_kept_days = 0
  }

  expect_failures = [var.deleted_kept_days]
}
