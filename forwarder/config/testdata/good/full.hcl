log {
  level  = "debug"
  format = "json"
}

state {
  dir = "/tmp/state"
}

http {
  listen = "off"
}

feed "soc-defenders" {
  discovery_url       = "https://taxii.example.com/taxii2/"
  collections         = ["all-iocs", "Everything"]
  poll_interval       = "1h30m"
  resync_interval     = "1d"
  overlap             = "0"
  timeout             = "30s"
  start_from          = "30d"
  page_size           = 500
  match_types         = ["indicator", "identity"]
  match_spec_versions = ["2.1"]
  identity            = "content"
  trusted_hosts       = ["api.example.net"]
  proxy_url           = "http://u:p@proxy.example.com:3128"
  user_agent          = "me/1"
  auth "bearer" {
    token = env("TEST_SECRET")
  }
  tls {
    min_version = "1.3"
  }
}

feed "otx" {
  api_root_url = "http://127.0.0.1:8080/taxii/root/"
  start_from   = "2026-01-31T12:00:00+02:00"
  auth "basic" {
    username = env("TEST_SECRET")
    password = ""
  }
}

feed "custom" {
  discovery_url = "https://taxii.example.org/"
  start_from    = "all"
  auth "header" {
    name  = "X-API-Key"
    value = file("testdata/secret.txt")
  }
}

feed "open" {
  discovery_url = "https://taxii.example.net/"
  auth "none" {}
}

sink "splunk_hec" "soc" {
  url     = "https://splunk.example.com:8088"
  token   = credential("hec")
  timeout = "10s"
  batch {
    max_events = 10
    max_bytes  = 1000
  }
}

sink "file" "out" {
  path = "-"
}

route "iocs" {
  from = [feed.soc-defenders, feed.otx]
  to   = [sink.splunk_hec.soc, sink.file.out]
  where = (
    indicator.confidence>=50   # sure enough
    && indicator.tlp != "red"
  )
}

route "rest" {
  from = [feed.custom, feed.open]
  to   = [sink.file.out]
}
