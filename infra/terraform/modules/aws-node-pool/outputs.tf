output "name" {
  description = "The pool's name, once its nodes may join."
  value       = var.name
  depends_on  = [aws_eks_node_group.this, aws_autoscaling_group_tag.disk]
}
