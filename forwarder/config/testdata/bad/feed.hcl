feed "socdefenders" {
  discovery_url   = "https://user:s3cret@taxii.example.com/?key=s3cret"
  api_root_url    = "ftp://taxii.example.com/"
  collections     = ["*", "a", "", "b*", "a", "https://taxii.example.com/x"]
  poll_interval   = "15 minutes"
  overlap         = "five"
  timeout         = "0s"
  resync_interval = "1m"
  start_from      = "yesterday"
  page_size       = 0
  match_types     = ["indicator", "Malware,x"]
  match_spec_versions = ["2.2"]
  identity = "contents"
  trusted_hosts   = ["https://api.example.net", "api.example.net"]
  proxy_url       = "proxy.example.com:3128"
  user_agent      = "a\nb"

  auth "token" {
    token = "s3cret"
  }

  tls {
    ca_file     = "testdata/none.pem"
    min_version = "1.0"
  }
}

feed "socdefenders" {
}

feed "no good" {
  discovery_url = "taxii.example.com"
  page_size     = "many"
  collections   = []
  auth "bearer" {
    token = " s3cret"
  }
  auth "none" {
  }
}

feed "e" {
  discovery_url = "https://taxii.example.com/"
  auth "basic" {
    password = "x"
  }
}

feed "f" {
  discovery_url = "https://taxii.example.com/"
  auth "header" {
    name  = "X API Key"
    value = ""
  }
}
