package elasticsearch

import (
	"slices"
	"strings"

	"taxii-forwarder/forwarder/intel"
)

// tactics are the ATT&CK Enterprise tactics by their name in kill chain phases
// (attack.mitre.org/tactics/enterprise).
var tactics = map[string]struct{ id, name string }{
	"reconnaissance":       {"TA0043", "Reconnaissance"},
	"resource-development": {"TA0042", "Resource Development"},
	"initial-access":       {"TA0001", "Initial Access"},
	"execution":            {"TA0002", "Execution"},
	"persistence":          {"TA0003", "Persistence"},
	"privilege-escalation": {"TA0004", "Privilege Escalation"},
	"defense-evasion":      {"TA0005", "Defense Evasion"},
	"credential-access":    {"TA0006", "Credential Access"},
	"discovery":            {"TA0007", "Discovery"},
	"lateral-movement":     {"TA0008", "Lateral Movement"},
	"collection":           {"TA0009", "Collection"},
	"exfiltration":         {"TA0010", "Exfiltration"},
	"command-and-control":  {"TA0011", "Command and Control"},
	"impact":               {"TA0040", "Impact"},
}

// column collects one field of several related objects. ECS has one value in
// most of these fields; with more the document has an array, which is the same
// to a search.
type column struct {
	name   string
	values []string
}

func (c *column) add(v string) {
	if v != "" && !slices.Contains(c.values, v) {
		c.values = append(c.values, v)
	}
}

func (c *column) write(w *writer, array bool) {
	if !array && len(c.values) == 1 {
		w.string(c.name, c.values[0])
		return
	}
	w.strings(c.name, c.values)
}

// entity is one of threat.software, threat.group, threat.technique, …
type entity struct{ id, name, reference column }

func newEntity() entity {
	return entity{column{name: "id"}, column{name: "name"}, column{name: "reference"}}
}

func (e *entity) add(r *intel.Related) {
	e.id.add(r.ExternalID)
	e.name.add(r.Name)
	e.reference.add(r.URL)
}

func (e *entity) write(w *writer, array bool) {
	e.id.write(w, array)
	e.name.write(w, array)
	e.reference.write(w, array)
}

// writeAttack writes what the indicator indicates: threat.software,
// threat.group, threat.technique and threat.tactic. What ECS has no field for
// is in stix.related.
func writeAttack(w *writer, ind *intel.Indicator) {
	if len(ind.Related) == 0 && len(ind.KillChainPhases) == 0 {
		return
	}
	software, group, technique, sub, tactic := newEntity(), newEntity(), newEntity(), newEntity(), newEntity()
	kind := column{name: "type"}
	attack := false
	for i := range ind.Related {
		switch r := &ind.Related[i]; r.Type {
		case "malware", "tool":
			software.add(r)
			kind.add(strings.ToUpper(r.Type[:1]) + r.Type[1:])
		case "threat-actor", "intrusion-set":
			group.add(r)
		case "attack-pattern":
			attack = attack || r.ExternalID != ""
			if parent, _, ok := strings.Cut(r.ExternalID, "."); ok {
				technique.id.add(parent)
				sub.add(r)
			} else {
				technique.add(r)
			}
		}
	}
	for _, p := range ind.KillChainPhases {
		if t, ok := tactics[p.Phase]; ok && p.KillChain == "mitre-attack" {
			attack = true
			tactic.add(&intel.Related{ExternalID: t.id, Name: t.name, URL: "https://attack.mitre.org/tactics/" + t.id + "/"})
		}
	}
	if attack {
		w.string("framework", "MITRE ATT&CK")
	}
	m := w.open("software")
	software.write(w, false)
	kind.write(w, false)
	w.close(m)
	m = w.open("group")
	group.write(w, false)
	w.close(m)
	m = w.open("technique")
	technique.write(w, true)
	s := w.open("subtechnique")
	sub.write(w, true)
	w.close(s)
	w.close(m)
	m = w.open("tactic")
	tactic.write(w, true)
	w.close(m)
}
