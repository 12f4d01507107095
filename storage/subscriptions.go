package storage

import (
	"context"

	"sitrep/incident"
)

// A SubscriptionReader reads what the readers of incidents were told and are owed.
type SubscriptionReader interface {
	// Subscriptions returns those of each incident, of these recipients or, if none is named,
	// of all, ordered by recipient; an incident that has none is left out. What it costs to
	// read those of a recipient does not grow with how many others there are.
	Subscriptions(ctx context.Context, numbers []int64, recipients ...string) (map[int64][]incident.Subscription, error)
}

// A SubscriptionWriter writes what the readers of incidents were told and are owed.
type SubscriptionWriter interface {
	// PutSubscriptions deletes those that are gone, by which nothing may be due, and stores
	// subscriptions.
	PutSubscriptions(ctx context.Context, put, gone []incident.Subscription) error
}

// SubscriptionsOf returns all of one incident, ordered by recipient.
func SubscriptionsOf(ctx context.Context, r SubscriptionReader, number int64) ([]incident.Subscription, error) {
	all, err := r.Subscriptions(ctx, []int64{number})
	return all[number], err
}
