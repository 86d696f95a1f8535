package splunk

import (
	"slices"
	"testing"

	"taxii-forwarder/forwarder/intel"
)

// What can be known of an upsert beforehand is what its outcome says.
func TestAlsoHeld(t *testing.T) {
	for name, ind := range map[string]*intel.Indicator{
		"domain": testIndicator(1),
		"file": testIndicator(2, obs(intel.TypeFile, sha256A, intel.FieldMD5, md5A, intel.FieldSHA1, sha1A, intel.FieldSHA256, sha256A, intel.FieldSSDEEP, ssdeepA),
			obs(intel.TypeFile, sha256B, intel.FieldSHA256, sha256B)),
		"pattern alone": testIndicator(3, []intel.Observable{}...),
	} {
		c := intel.Change{Seq: 1, Action: intel.Upsert, Indicator: ind, At: testNow}
		_, out := NewEncoder(EncoderOptions{}).Append(nil, &c)
		if also := new(Sink).AlsoHeld(&c); !slices.Equal(also, out.Held) || name == "file" && len(also) != 2 {
			t.Errorf("%s: AlsoHeld %v, Held %v", name, also, out.Held)
		}
	}
}
