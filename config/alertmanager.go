package config

// An Alertmanager is one that is asked whether a breach is still firing.
type Alertmanager struct {
	URL        URL         `yaml:"url,required" doc:"Where it is, with its path prefix if it has one. Grafana's own is asked about what came from Grafana: its path ends in /api/alertmanager/grafana." eg:"http://alertmanager.example:9093"`
	HTTPConfig *HTTPClient `yaml:"http_config" doc:"How it is spoken to, as everywhere in Prometheus: headers, credentials, TLS, proxy."`
}
