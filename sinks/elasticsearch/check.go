package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
)

// Check asks the server what it is and what the credentials may do. It writes
// nothing.
func (s *Sink) Check(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return s.fail("check access", err)
	}
	return nil
}

func (s *Sink) check(ctx context.Context) error {
	status, r, err := s.request(ctx, esapi.InfoRequest{})
	switch {
	case err != nil:
		return err
	case status == http.StatusForbidden:
		// Only the cluster privilege monitor is lacking, which is not needed.
	case status != http.StatusOK:
		return s.statusFailure(r, replyError(r.body))
	default:
		if err := s.checkInfo(r.body); err != nil {
			return err
		}
	}
	exists, err := s.indexExists(ctx)
	if err != nil {
		return err
	}
	template := int64(templateVersion)
	if *s.config.ManageTemplate {
		var readable bool
		if template, readable, err = s.templateVersion(ctx); err != nil {
			return err
		}
		if exists && !readable {
			types, _, err := s.fieldTypes(ctx)
			if err == nil {
				err = s.misfit(types)
			}
			if err != nil {
				return err
			}
		}
	}
	known, err := s.checkPrivileges(ctx, exists, exists || template >= 0)
	if known || err != nil {
		return err
	}
	return s.checkWrite(ctx, exists)
}

// checkInfo compares what the server says of itself with the configuration.
func (s *Sink) checkInfo(body []byte) error {
	var info struct {
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
	}
	if err := json.Unmarshal(body, &info, lenient); err != nil || info.Version.Number == "" {
		return intel.Fail(intel.FailProtocol, "the answer at the address is not that of %s", s.config.Distribution).
			WithHint("the address must be that of the cluster itself, not of Kibana or Dashboards")
	}
	if s.config.Distribution == OpenSearch && info.Version.Distribution != OpenSearch {
		return intel.Fail(intel.FailConfig, "the server says it is version %s of something else than OpenSearch", info.Version.Number).
			WithHint("for Elasticsearch leave out distribution")
	}
	return nil
}

// checkPrivileges asks by _has_privileges; known is false where there is no
// such thing (OpenSearch, or security switched off).
func (s *Sink) checkPrivileges(ctx context.Context, exists, template bool) (known bool, err error) {
	if s.config.Distribution == OpenSearch {
		return false, nil
	}
	needed := []string{"index", "delete"}
	if !exists {
		needed = append(needed, "auto_configure")
	}
	cluster := []string{}
	if !template {
		cluster = append(cluster, "manage_index_templates")
	}
	ask := encode(object{
		"cluster": cluster,
		"index":   []object{{"names": []string{s.config.Index}, "privileges": append(needed, "read")}},
	})
	status, r, err := s.request(ctx, esapi.SecurityHasPrivilegesRequest{Body: bytes.NewReader(ask)})
	switch {
	case err != nil:
		return false, err
	case status == http.StatusUnauthorized:
		return false, s.statusFailure(r, replyError(r.body))
	case status != http.StatusOK:
		return false, nil
	}
	var answer struct {
		Cluster map[string]bool            `json:"cluster"`
		Index   map[string]map[string]bool `json:"index"`
	}
	if err := json.Unmarshal(r.body, &answer, lenient); err != nil {
		return false, intel.Fail(intel.FailProtocol, "read privileges: %w", err)
	}
	have := answer.Index[s.config.Index]
	var lacking []string
	for _, p := range needed {
		if !have[p] {
			lacking = append(lacking, p)
		}
	}
	if len(lacking) > 0 {
		return true, intel.Fail(intel.FailAuth, "the credentials lack the index privilege %s on %s", strings.Join(lacking, ", "), s.config.Index).
			WithHint("grant index, delete, read and auto_configure on %s", s.config.Index)
	}
	if !template && !answer.Cluster["manage_index_templates"] {
		return true, intel.Fail(intel.FailAuth, "index template %s does not exist and the credentials lack the cluster privilege manage_index_templates", s.config.Index).
			WithHint("grant it for the first start, or have an admin create index %s and set manage_template = false", s.config.Index)
	}
	if !have["read"] {
		s.log.Warn("lacks the index privilege read: rules stop to see indicators after 30 days, as their @timestamp can not be refreshed", "index", s.config.Index)
	}
	return true, nil
}

// checkWrite tries what can have no effect: to delete a document that does not
// exist, on a condition that can not hold. An index that does not exist yet is
// only looked for, as asking to write would create it.
func (s *Sink) checkWrite(ctx context.Context, exists bool) error {
	if !exists {
		yes := true
		zero := 0
		status, r, err := s.request(ctx, esapi.SearchRequest{Index: []string{s.index()}, Size: &zero, IgnoreUnavailable: &yes})
		if err == nil && (status < 200 || status > 299) {
			err = s.statusFailure(r, replyError(r.body))
		}
		return err
	}
	probe := []byte(`{"delete":{"_id":"taxii-forwarder-check","if_seq_no":0,"if_primary_term":1}}` + "\n")
	status, r, err := s.postBulk(ctx, probe)
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return s.statusFailure(r, replyError(r.body))
	}
	var verdictErr error
	err = parseReply(r.body, func(it *item) bool {
		if v := judge(it, true); v == broken || v == busy {
			verdictErr = itemFailure(s, it)
		} else if v == refused {
			verdictErr = intel.Fail(intel.FailConfig, "a trial delete was refused: %s", it.err.text())
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("read the reply to a trial delete: %w", err)
	}
	return verdictErr
}
