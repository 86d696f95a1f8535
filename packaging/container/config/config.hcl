# An example for compose.yaml. The state is in the image's default directory.
log {
  format = "json"
}

feed "socdefenders" {
  discovery_url = "https://socdefenders.ai/api/taxii2/"
  auth "bearer" {
    token = credential("socdefenders-key")
  }
  start_from = "30d"
}

sink "splunk_hec" "soc" {
  url   = "https://splunk.example.com:8088"
  token = credential("hec-token")
}
