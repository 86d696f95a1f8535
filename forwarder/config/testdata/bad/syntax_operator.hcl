feed "a" {
  discovery_url = "https://u:s3cret@taxii.example.com/" &
  poll_interval "15m"
}
