package svc

import "testing"

func TestServiceSID(t *testing.T) {
	// A service of every Windows; its identifier is in Microsoft's documentation.
	if got, want := serviceSID("TrustedInstaller"), "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
