feed "a" {
  discovery_url = "https://taxii.example.com/taxii2/"
}

sink "file" "out" {
  path = "-"
}
