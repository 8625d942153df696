output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "The VPC's range."
  value       = var.cidr
}

output "node_subnet_ids" {
  description = "Subnets of nodes, one a zone, in the order of the zones."
  value       = [for zone in var.zones : aws_subnet.nodes[zone].id]
}

output "data_subnet_ids" {
  description = "Subnets of databases, one a zone, in the order of the zones."
  value       = [for zone in var.zones : aws_subnet.data[zone].id]
}
