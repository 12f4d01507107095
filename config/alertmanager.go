package config

// An Alertmanager is one that is asked whether a breach is still firing, and by which routes
// alerts come to sitrep.
type Alertmanager struct {
	URL        URL         `yaml:"url,required" doc:"Where it is, with its path prefix if it has one. Grafana's own is asked about what came from Grafana: its path ends in /api/alertmanager/grafana." eg:"http://alertmanager.example:9093"`
	Receiver   string      `yaml:"receiver" doc:"Its receiver that is sitrep's, for the page Coverage: Alertmanager does not tell URLs. Needed only if sitrep is no part of its name." eg:"incidents"`
	HTTPConfig *HTTPClient `yaml:"http_config" doc:"How it is spoken to, as everywhere in Prometheus: headers, credentials, TLS, proxy."`
}

// A Prometheus is one that is asked for its rules, how their evaluation goes, and where it sends
// alerts.
type Prometheus struct {
	URL        URL         `yaml:"url,required" doc:"Where it is, with its path prefix if it has one." eg:"http://prometheus.example:9090"`
	HTTPConfig *HTTPClient `yaml:"http_config" doc:"How it is spoken to, as everywhere in Prometheus: headers, credentials, TLS, proxy."`
}
