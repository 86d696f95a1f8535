package stix

import (
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// TLPOf returns the level that a marking-definition id stands for. The
// instances of TLP 1 (STIX 2.1 §7.2.1.4) and TLP 2 (its extension) are fixed by
// specification, and feeds often leave the objects themselves out.
func TLPOf(ref string) (intel.TLP, bool) {
	uuid, ok := strings.CutPrefix(ref, "marking-definition--")
	if !ok {
		return intel.TLPNone, false
	}
	switch strings.ToLower(uuid) {
	case "613f2e26-407d-48c7-9eca-b8e91df99dc9", // TLP 1 white
		"94868c89-83c2-464b-929b-a1a8aa3c8487":
		return intel.TLPClear, true
	case "34098fce-860f-48ae-8e50-ebd3cc5e41da",
		"bab4a63c-aed9-4cf5-a766-dfca5abac2bb":
		return intel.TLPGreen, true
	case "f88d31f6-486f-44da-b317-01333bde0b82",
		"55d920b0-5e8b-4f79-9ee9-91f868d9b421":
		return intel.TLPAmber, true
	case "939a9414-2ddd-4d32-a0cd-375ea402b003":
		return intel.TLPAmberStrict, true
	case "5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
		"e828b379-4e03-4974-9ac4-e53a884c97c1":
		return intel.TLPRed, true
	}
	return intel.TLPNone, false
}

// tlpNamed reads a level as marking objects spell it: "amber+strict",
// "TLP:AMBER+STRICT", "AMBER_STRICT", "white".
func tlpNamed(s string) (intel.TLP, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.TrimSpace(strings.TrimPrefix(s, "tlp"))
	s = strings.TrimSpace(strings.TrimLeft(s, ":-_"))
	switch s {
	case "white", "clear":
		return intel.TLPClear, true
	case "green":
		return intel.TLPGreen, true
	case "amber":
		return intel.TLPAmber, true
	case "amber+strict", "amber_strict", "amber-strict", "amber strict":
		return intel.TLPAmberStrict, true
	case "red":
		return intel.TLPRed, true
	}
	return intel.TLPNone, false
}

// fixedTLP returns the strictest level among ind's markings whose ids are fixed.
// A granular marking counts as much as one of the whole object: the part it
// covers may be the pattern.
func fixedTLP(ind *intel.Indicator) intel.TLP {
	level := intel.TLPNone
	for _, ref := range ind.MarkingRefs {
		if t, ok := TLPOf(ref); ok {
			level = level.Stricter(t)
		}
	}
	for i := range ind.GranularMarkings {
		if t, ok := TLPOf(ind.GranularMarkings[i].MarkingRef); ok {
			level = level.Stricter(t)
		}
	}
	return level
}
