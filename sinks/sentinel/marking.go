package sentinel

import "taxii-forwarder/forwarder/intel"

const markingPrefix = "marking-definition--"

// The four levels that Sentinel shows, by the ids of TLP 1 (STIX 2.1 §7.2.1.4).
var sentinelTLP = map[intel.TLP]string{
	intel.TLPClear: markingPrefix + "613f2e26-407d-48c7-9eca-b8e91df99dc9",
	intel.TLPGreen: markingPrefix + "34098fce-860f-48ae-8e50-ebd3cc5e41da",
	intel.TLPAmber: markingPrefix + "f88d31f6-486f-44da-b317-01333bde0b82",
	// Sentinel has nothing between amber and red; the label tlp:amber+strict
	// says the rest.
	intel.TLPAmberStrict: markingPrefix + "f88d31f6-486f-44da-b317-01333bde0b82",
	intel.TLPRed:         markingPrefix + "5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
}

// knownTLP are the markings that stand for a TLP level: those of TLP 1 and of
// TLP 2, and the one OpenCTI made for amber+strict before there was an
// official one.
var knownTLP = map[string]intel.TLP{
	markingPrefix + "613f2e26-407d-48c7-9eca-b8e91df99dc9": intel.TLPClear,
	markingPrefix + "34098fce-860f-48ae-8e50-ebd3cc5e41da": intel.TLPGreen,
	markingPrefix + "f88d31f6-486f-44da-b317-01333bde0b82": intel.TLPAmber,
	markingPrefix + "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": intel.TLPRed,
	markingPrefix + "94868c89-83c2-464b-929b-a1a8aa3c8487": intel.TLPClear,
	markingPrefix + "bab4a63c-aed9-4cf5-a766-dfca5abac2bb": intel.TLPGreen,
	markingPrefix + "55d920b0-5e8b-4f79-9ee9-91f868d9b421": intel.TLPAmber,
	markingPrefix + "939a9414-2ddd-4d32-a0cd-375ea402b003": intel.TLPAmberStrict,
	markingPrefix + "e828b379-4e03-4974-9ac4-e53a884c97c1": intel.TLPRed,
	markingPrefix + "826578e1-40ad-459f-bc73-ede076f81f37": intel.TLPAmberStrict,
}

// level is the strictest TLP level that ind is known to have.
func level(ind *intel.Indicator) intel.TLP {
	t := ind.TLP
	for _, ref := range ind.MarkingRefs {
		t = t.Stricter(knownTLP[ref])
	}
	return t
}

// sentinelMarking replaces a TLP marking by the one of Sentinel's four that
// stands for its level, and leaves others alone.
func sentinelMarking(ref string) string {
	if t, ok := knownTLP[ref]; ok {
		return sentinelTLP[t]
	}
	return ref
}
