feed "a" {
  discovery_url = "https://taxii.example.com/"
}

sink "splunk_hec" "one" {
  url     = "http://splunk.example.com"
  token   = 12
  timeout = "soon"
  batch {
    max_events = -1
    max_bytes  = "lots"
  }
}

sink "splunk_hec" "two" {
  url = "nonsense"
  tls {
    ca_fil = "x"
  }
}

sink "splunk_hec" "two" {
  url   = "https://splunk.example.com:8088"
  token = env("TEST_SECRET")
  batch {
    max_events = 0
  }
}
