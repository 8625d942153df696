output "bucket" {
  description = "The bucket's name."
  value       = aws_s3_bucket.this.bucket
}

output "access" {
  description = "What Muster must be allowed: statements for aws-identity."
  value = [
    { actions = ["s3:ListBucket", "s3:GetBucketLocation"], resources = [aws_s3_bucket.this.arn] },
    {
      actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
      resources = ["${aws_s3_bucket.this.arn}/*"]
    },
    { actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [aws_kms_key.this.arn] },
  ]
}
