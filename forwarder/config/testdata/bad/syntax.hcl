feed "a" {
  discovery_url = "https://taxii.example.com/taxii2/"
  auth "bearer" {
    token = "s3cret-unfinished
  }
}
