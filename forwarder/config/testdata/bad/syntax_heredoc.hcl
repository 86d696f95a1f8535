feed "a" {
  auth "bearer" {
    token = <<END
s3cret-heredoc
  }
}
