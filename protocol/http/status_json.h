#pragma once

#include <vector>

#include <boost/json/object.hpp>

#include "broker/broker.h"
#include "broker/lag/lag_types.h"
#include "protocol/http/broker_link.h"

namespace tidemark::http {

broker::Verdict worst_of(const std::vector<broker::LagRow>& rows);
/// As `tidemark status -o json`.
boost::json::object status_value(const broker::BrokerStatus& status, const ServerFacts& facts, broker::Verdict worst);

}  // namespace tidemark::http
