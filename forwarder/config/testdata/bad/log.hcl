feed {
  discovery_url = "https://taxii.example.com/"
}

log {
  level  = "verbose"
  format = "xml"
}

http {
  listen = "127.0.0.1:http"
}

feed "a" {
  discovery_url = "https://taxii.example.com/"
  poll_interval = "often"
}

sink "file" {
  path = "x"
}

sink "file" "ok" {
  path   = "x"
  format = "yaml"
}

route {
  from = [feed.a]
}

route "r" {
  from = [feed.b]
  to   = [sink.file.ok]
}
