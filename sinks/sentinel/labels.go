package sentinel

import (
	"slices"

	"taxii-forwarder/forwarder/intel"
)

// maxRelatedLabels bounds the labels made from relationships: an indicator of
// a shared host can have thousands.
const maxRelatedLabels = 50

// labels are what Sentinel shows as tags: the producer's own, what the
// indicator indicates, as type:name (an attack-pattern by its ATT&CK id), and
// the TLP level where Sentinel's markings can not express it.
func labels(ind *intel.Indicator) []string {
	if len(ind.Related) == 0 && ind.SpecVersion != "2.0" && level(ind) != intel.TLPAmberStrict {
		return ind.Labels
	}
	out := slices.Clone(ind.Labels)
	add := func(label string) {
		if !slices.Contains(out, label) {
			out = append(out, label)
		}
	}
	if ind.SpecVersion == "2.0" {
		// STIX 2.0 has the indicator's types among its labels and nowhere else.
		for _, t := range ind.IndicatorTypes {
			add(t)
		}
	}
	related := 0
	for i := range ind.Related {
		r := &ind.Related[i]
		name := r.Name
		if r.Type == "attack-pattern" && r.ExternalID != "" {
			name = r.ExternalID
		}
		if name == "" || r.Type == "" {
			continue
		}
		if related++; related > maxRelatedLabels {
			break
		}
		add(r.Type + ":" + name)
	}
	if level(ind) == intel.TLPAmberStrict {
		add("tlp:amber+strict")
	}
	return out
}
