package storage

import "sitrep/incident"

// A SubscriptionReader reads what the readers of incidents were told and are owed.
type SubscriptionReader interface {
	// Subscriptions returns all of each incident, ordered by recipient; an incident that has
	// none is left out.
	Subscriptions(numbers []int64) (map[int64][]incident.Subscription, error)
}

// A SubscriptionWriter writes what the readers of incidents were told and are owed.
type SubscriptionWriter interface {
	PutSubscriptions(subs []incident.Subscription) error
}

// SubscriptionsOf returns all of one incident, ordered by recipient.
func SubscriptionsOf(r SubscriptionReader, number int64) ([]incident.Subscription, error) {
	all, err := r.Subscriptions([]int64{number})
	return all[number], err
}
