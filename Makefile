# Short names for plain go commands. ./test.sh runs every check and test.

.PHONY: build test lint e2e amtool oauth2-proxy

build:
	CGO_ENABLED=0 go build -trimpath -o sitrep ./cmd/sitrep

test:
	go test -race $$(go list ./... | grep -v '/e2e')

lint:
	golangci-lint run

e2e:
	cd e2e/alertmanager && go build -o ../../.cache/alertmanager github.com/prometheus/alertmanager/cmd/alertmanager
	go test -race -count=1 ./e2e/...

amtool:
	cd e2e/alertmanager && go build -o ../../.cache/amtool github.com/prometheus/alertmanager/cmd/amtool

oauth2-proxy:
	cd e2e/oauth2-proxy && go build -o ../../.cache/oauth2-proxy github.com/oauth2-proxy/oauth2-proxy/v7
