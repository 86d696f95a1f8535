//go:build !windows

package main

func defaultConfig() string { return "/etc/taxii-forwarder/config.hcl" }
