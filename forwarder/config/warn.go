package config

import (
	"io/fs"
	"runtime"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// warnLiterals warns of secrets that are written into the file, and more so
// when others may read it.
func (l *loader) warnLiterals(body *hclsyntax.Body, mode fs.FileMode) {
	var found []hcl.Range
	var walk func(*hclsyntax.Body)
	walk = func(b *hclsyntax.Body) {
		for _, a := range b.Attributes {
			// A user name is secret where it is an API key only: not worth a warning.
			if l.names.secret[a.Name] && a.Name != "username" && isLiteral(a.Expr) {
				found = append(found, a.SrcRange)
				l.warnAt(a.NameRange, a.Name+" is written into the configuration", `keep it elsewhere: env("NAME"), file("path") or credential("name")`)
			}
		}
		for _, inner := range b.Blocks {
			walk(inner.Body)
		}
	}
	walk(body)
	if runtime.GOOS == "windows" {
		return // it keeps no such bits; its ACLs are the installer's business
	}
	if mode.Perm()&0o002 != 0 {
		l.warnAt(hcl.Range{}, "every user of this machine can change this file, and so have the credentials sent elsewhere", "chmod o-w")
	}
	if len(found) > 0 && mode.Perm()&0o004 != 0 {
		l.warnAt(hcl.Range{}, "every user of this machine can read the secrets in this file", "chmod 0640, and give the file to the service's group")
	}
}
