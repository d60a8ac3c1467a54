#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/base/bytes.h"
#include "storage/base/clock.h"
#include "storage/base/result.h"
#include "storage/base/unique_function.h"

namespace tidemark::broker {

/// One way of sharing out the partitions that a member can take part in ("range", "cooperative-sticky"), with what it tells the leader
/// about itself. The metadata is opaque to the broker.
struct ClassicProtocol {
  std::string name;
  Slice metadata;
};

/// Who speaks. A static member (KIP-345) also names its instance; its member id changes with each start, the instance id does not.
struct ClassicIdentity {
  std::string member_id;  ///< Empty: not known yet, or (in leave) whoever holds the instance id.
  std::optional<std::string> instance_id;
};

struct ClassicJoin {
  ClassicIdentity identity;
  std::string client_id;
  std::string client_host;
  std::chrono::milliseconds session_timeout{};
  std::chrono::milliseconds rebalance_timeout{};  ///< How long this member may take to rejoin. Below zero counts as zero.
  std::string protocol_type;                      ///< "consumer", "connect": members of one group have the same.
  std::vector<ClassicProtocol> protocols;         ///< The most wanted first.
  bool require_known_member_id = false;           ///< A new dynamic member is given an id first and joins again with it (KIP-394).
  bool can_skip_assignment = false;               ///< A returning static leader understands `skip_assignment` (KIP-814).
  std::string reason;                             ///< For people; may be empty (KIP-800).
};

struct ClassicJoinReply {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    Slice metadata;  ///< Of the selected protocol.
  };

  Status status;
  std::string member_id;  ///< Also set beside member_id_required: the id to join again with.
  std::int32_t generation = -1;
  std::string protocol_type;
  std::string protocol_name;
  std::string leader;
  bool skip_assignment = false;  ///< The leader of a group that goes on as it is: watch the topics, assign nothing.
  std::vector<Member> members;   ///< Only for the leader.
};
using ClassicJoinDone = UniqueFunction<void(ClassicJoinReply)>;

struct ClassicSync {
  ClassicIdentity identity;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;  ///< If given, must be the group's (KIP-559).
  std::optional<std::string> protocol_name;
  std::vector<std::pair<std::string, Slice>> assignments;  ///< By member id; from the leader. Whoever is missing gets nothing.
};

struct ClassicSynced {
  std::string protocol_type;
  std::string protocol_name;
  Slice assignment;
};
using ClassicSyncDone = UniqueFunction<void(Result<ClassicSynced>)>;

/// What of a group outlives a restart, as a value. Member ids that were given out but never joined with are not part of it.
struct ClassicSnapshot {
  /// What the members are owed after a restart: nothing, a new join round, the leader's assignment, or only time to come back.
  enum class Phase : std::uint8_t { empty, rebalancing, awaiting_assignment, stable };

  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    std::chrono::milliseconds session_timeout{};
    std::chrono::milliseconds rebalance_timeout{};
    std::vector<ClassicProtocol> protocols;
    Slice assignment;  ///< Of the current generation; empty unless stable.
  };

  Phase phase = Phase::empty;
  std::int32_t generation = 0;
  std::string protocol_type;
  std::string protocol_name;    ///< Empty while none is selected.
  std::string leader;           ///< A member id; empty without members.
  std::vector<Member> members;  ///< Longest in the group first.
};

}  // namespace tidemark::broker
