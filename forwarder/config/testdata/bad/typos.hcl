log {
  levl = "info"
}

feed "socdefenders" {
  discovery_ulr = "https://taxii.example.com/taxii2/"
  auth "bearer" {
    tokn = "s3cret-literal"
  }
}

snik "file" "a" {
  path = "x"
}

sink "fiel" "a" {
  path = "x"
}

sink "splunk_hec" "soc" {
  url   = "https://splunk.example.com:8088"
  tokne = "s3cret-literal"
}
