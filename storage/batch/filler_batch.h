#pragma once

#include "storage/base/bytes.h"
#include "storage/base/offset.h"

namespace tidemark {

/// A batch without records that takes up the offsets [from, to), as compaction leaves them behind: it keeps the chain of offsets whole
/// where offsets were reserved and never used, or records were lost and the loss was accepted. Readers pass over it. Pre: from < to, at
/// most 2^31 offsets.
Slice build_filler_batch(Offset from, Offset to, std::int32_t leader_epoch);

}  // namespace tidemark
