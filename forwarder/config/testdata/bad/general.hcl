log {
  level  = "verbose"
  format = "xml"
}

log {
}

http {
  listen = "9464"
}

feed "a" {
  discovery_url = "https://taxii.example.com/"
}

feed "b" "c" {
}

sink "file" {
}

sink "file" "ok" {
  path = "x"
}
