http {
  listen    = "0.0.0.0:9464"
  anonymous = true
}

feed "plain" {
  discovery_url = "http://taxii.example.com/taxii2/"
  poll_interval = "1s"
  start_from    = "2999-01-01"
  match_types   = ["malware", "tool"]
  auth "bearer" {
    token = "s3cret-literal"
  }
  tls {
    insecure_skip_verify = true
  }
}

feed "unrouted" {
  discovery_url = "https://taxii.example.com/taxii2/"
  auth "basic" {
    username = "someone"
    password = env("TEST_SECRET")
  }
}

sink "splunk_hec" "soc" {
  url   = "https://splunk.example.com:8088"
  token = "s3cret-literal"
  tls {
    insecure_skip_verify = true
    cert_fingerprint     = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }
}

sink "file" "unrouted" {
  path = "x"
}

route "r" {
  from = [feed.plain]
  to   = [sink.splunk_hec.soc]
}
