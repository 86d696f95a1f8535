feed "a" {
  discovery_url = "https://taxii.example.com/taxii2/"
  auth "bearer" {
    token = env("NOT_SET_ANYWHERE")
  }
}

feed "b" {
  discovery_url = "https://taxii.example.com/taxii2/"
  auth "basic" {
    username = file("testdata/none.txt")
    password = credential("taxii")
  }
}

feed "c" {
  discovery_url = "https://taxii.example.com/taxii2/"
  auth "header" {
    name  = "X-API-Key"
    value = evn("API_KEY")
  }
}

feed "d" {
  discovery_url = env("TEST_SECRET")
  user_agent    = token
  auth "bearer" {
    token = "Bearer ${env("TEST_SECRET")}"
  }
}

sink "file" "x" {
  path   = "x"
  format = env("TEST_SECRET")
}
