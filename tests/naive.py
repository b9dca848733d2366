"""Slow and obvious twins of the kernels: one function a kernel, plain loops or plain numpy, no cleverness."""

from __future__ import annotations

import itertools
import math

import numpy as np

# ---- metrics: one list of distinct items against a set of relevant items -------------------------------------------


def recall(ranked, relevant, k):
    return len(set(ranked[:k]) & relevant) / len(relevant)


def precision(ranked, relevant, k):
    return len(set(ranked[:k]) & relevant) / k


def hit_rate(ranked, relevant, k):
    return float(any(item in relevant for item in ranked[:k]))


def reciprocal_rank(ranked, relevant, k):
    for rank, item in enumerate(ranked[:k], 1):
        if item in relevant:
            return 1 / rank
    return 0.0


def average_precision(ranked, relevant, k):
    at_hits = [precision(ranked, relevant, rank) for rank, item in enumerate(ranked[:k], 1) if item in relevant]
    return sum(at_hits) / min(k, len(relevant))


def ndcg(ranked, relevant, k):
    gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], 1) if item in relevant)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))


def recall_capped(ranked, relevant, k):
    return len(set(ranked[:k]) & relevant) / min(k, len(relevant))


def r_precision(ranked, relevant, k=None):
    return len(set(ranked[: len(relevant)]) & relevant) / len(relevant)


def ndcg_graded(ranked, gains, k):
    """gains: {relevant item: gain}"""

    def discounted(values):
        return sum(value / math.log2(rank + 1) for rank, value in enumerate(values[:k], 1))

    ideal = discounted(sorted(gains.values(), reverse=True))
    return discounted([gains.get(item, 0) for item in ranked]) / ideal if ideal else math.nan


def auc(scores, relevant, hidden):
    """scores: of all items by position; relevant positions beyond them are unknown; hidden: positions that are not shown."""
    others = [scores[item] for item in range(len(scores)) if item not in relevant and item not in hidden]
    found = [scores[item] for item in relevant if item < len(scores) and item not in hidden]
    if not others:
        return math.nan
    won = sum((mine > other) + (mine == other) / 2 for mine in found for other in others)
    return won / len(relevant) / len(others)


# ---- metrics of what is shown: profiles are the sets of items in each user's history --------------------------------------


def popularity(item, profiles):
    return sum(item in profile for profile in profiles) / sum(bool(profile) for profile in profiles)


def mean_or_nan(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def average_popularity(ranked, profiles, k):
    return mean_or_nan(popularity(item, profiles) for item in ranked[:k])


def novelty(ranked, profiles, k):
    least = 1 / sum(bool(profile) for profile in profiles)
    return mean_or_nan(-math.log2(max(popularity(item, profiles), least)) for item in ranked[:k])


def intra_list_diversity(ranked, vectors, k):
    def cosine(one, other):
        lengths = math.sqrt(sum(one**2) * sum(other**2))
        return sum(one * other) / lengths if lengths else 0.0

    return mean_or_nan(1 - cosine(vectors[i], vectors[j]) for i, j in itertools.combinations(ranked[:k], 2))


def feature_diversity(ranked, rows, k):
    """rows: for each item its values, None for a missing one."""
    pairs = [(rows[i], rows[j]) for i, j in itertools.combinations(ranked[:k], 2)]
    return mean_or_nan(a is None or b is None or a != b for one, other in pairs for a, b in zip(one, other, strict=True))


def serendipity(ranked, relevant, profiles, own, n_items, k):
    """own: the profile of the user, whose items are in no list."""
    by_popularity = sorted(range(n_items), key=lambda item: (-popularity(item, profiles), item))
    expected = [item for item in by_popularity if item not in own][:k]
    return len((set(ranked[:k]) & relevant) - set(expected)) / k


def coverage(lists, n_items, k):
    return len({item for ranked in lists for item in ranked[:k]}) / n_items


def gini(lists, n_items, k):
    """Half the mean difference between two items, over the mean."""
    shown = [sum(item in ranked[:k] for ranked in lists) for item in range(n_items)]
    if not sum(shown):
        return math.nan
    return sum(abs(one - other) for one in shown for other in shown) / (2 * n_items * sum(shown))


def personalisation(lists, n_items, k):
    return mean_or_nan(1 - len(set(a[:k]) & set(b[:k])) / k for a, b in itertools.combinations(lists, 2))


def popularity_lift(lists, owns, profiles, k):
    both = [(ranked[:k], own) for ranked, own in zip(lists, owns, strict=True) if ranked[:k] and own]
    if not both:
        return math.nan
    above, below = (sum(average_popularity(sorted(row), profiles, None) for row in rows) for rows in zip(*both, strict=True))
    return above / below - 1


def shared_entries(rows, other_rows):
    """rows: (number of the row in other_rows, its columns), one a row; for each entry, whether the other row has it too."""
    return [column in other_rows[other] for other, columns in rows for column in columns]


# ---- least squares and ranking -----------------------------------------------------------------------------------


def dense_loss(weights, users, items, *, alpha, unobserved_weight, regularization, exponent, weighting):
    """The ALS objective over a dense (n_users, n_items) matrix of weights, NaN where nothing was observed."""
    scores = users.astype(np.float64) @ items.T.astype(np.float64)
    observed = ~np.isnan(weights)
    c = alpha * np.nan_to_num(weights)
    if weighting == "rendle2022":
        fit = (c * (1 - scores) ** 2)[observed].sum() + unobserved_weight * (scores**2).sum()
    else:
        confidence = unobserved_weight + c if weighting == "hu2008" else np.where(observed, c, unobserved_weight)
        fit = (confidence * (observed - scores) ** 2).sum()
    n_users, n_items = weights.shape
    user_ridge = regularization * (observed.sum(axis=1) + unobserved_weight * n_items) ** exponent
    item_ridge = regularization * (observed.sum(axis=0) + unobserved_weight * n_users) ** exponent
    return fit + user_ridge @ (users**2).sum(axis=1) + item_ridge @ (items**2).sum(axis=1)


def best_user(row, items, *, alpha, unobserved_weight, regularization, exponent, weighting):
    """The exact minimiser of the objective for one user, by dense normal equations; zero for a row without entries."""
    observed = ~np.isnan(row)
    if not observed.any():
        return np.zeros(items.shape[1])
    a = alpha * row[observed] - (unobserved_weight if weighting == "implicit" else 0)
    b = a + (0 if weighting == "rendle2022" else unobserved_weight)
    y = items[observed]
    ridge = regularization * (observed.sum() + unobserved_weight * len(items)) ** exponent
    matrix = unobserved_weight * items.T @ items + (y.T * a) @ y + ridge * np.eye(items.shape[1])
    return np.linalg.solve(matrix, b @ y)


def ranked(query, items, k, skip=(), candidates=None):
    """[(position, score)] of the k best items by float64 dot product, ties to the lower position."""
    allowed = range(len(items)) if candidates is None else candidates
    scores = [(float(np.float32(np.dot(query.astype(np.float64), items[i].astype(np.float64)))), i) for i in allowed]
    scores = [(score, i) for score, i in scores if i not in set(skip)]
    return [(i, score) for score, i in sorted(scores, key=lambda pair: (-pair[0], pair[1]))[:k]]


# ---- re-ranking and reasons -----------------------------------------------------------------------------------------


def chosen(pool, k, *, diversity, calibration, units, groups, wanted):
    """Positions chosen from pool [(position, score)], best first, by the greedy objective as it is written."""
    high, low = pool[0][1], pool[-1][1]
    left, taken = list(pool), []
    while left and len(taken) < k:
        values = []
        for position, score in left:
            relevance = (score - low) / (high - low) if high > low else 1.0
            value = (1 - diversity - calibration) * relevance
            if taken:
                value -= diversity * max(float(units[position] @ units[other]) for other in taken)
            together = [groups[other] for other in [*taken, position]]
            for group, share in enumerate(wanted):
                if share > 0:
                    mixed = 0.99 * together.count(group) / len(together) + 0.01 * share
                    value -= calibration * share * math.log(share / mixed)
            values.append(value)
        taken.append(left.pop(int(np.argmax(values)))[0])
    return taken


def carried(contributions, r):
    """[(place, contribution)] of the r largest positive ones, ties to the first."""
    order = sorted(range(len(contributions)), key=lambda place: (-contributions[place], place))
    return [(place, contributions[place]) for place in order[:r] if contributions[place] > 0]


# ---- ratings: rows [x, b] of both sides, a dense (n_users, n_items) matrix of ratings, NaN where there is none ---------


def predicted_ratings(users, items, mean):
    return users[:, :-1] @ items[:, :-1].T + users[:, -1:] + items[:, -1] + mean


def ratings_loss(ratings, users, items, *, mean, regularization, exponent):
    users, items = users.astype(np.float64), items.astype(np.float64)
    rated = ~np.isnan(ratings)
    errors = (ratings - predicted_ratings(users, items, mean))[rated]
    user_ridge = regularization * rated.sum(axis=1) ** exponent
    item_ridge = regularization * rated.sum(axis=0) ** exponent
    return (errors**2).sum() + user_ridge @ (users**2).sum(axis=1) + item_ridge @ (items**2).sum(axis=1)


def best_rating_row(ratings, others, *, mean, regularization, exponent):
    """[x, b] of one row of ratings given the rows of the other side, by dense normal equations."""
    rated = ~np.isnan(ratings)
    features = np.column_stack([others[rated, :-1], np.ones(rated.sum())])
    ridge = regularization * rated.sum() ** exponent
    targets = ratings[rated] - mean - others[rated, -1]
    return np.linalg.solve(features.T @ features + ridge * np.eye(features.shape[1]), features.T @ targets)


# ---- ingestion ------------------------------------------------------------------------------------------------------


def gather_events_naively(events, rule):
    """{(user, item): (weight, timestamp)} of events (user, item, weight, timestamp or None) in order of the log."""
    pairs = {}
    for user, item, weight, time in events:
        pairs.setdefault((user, item), []).append((weight, time))
    merged = {}
    for pair, entries in pairs.items():
        weights = [weight for weight, _ in entries]
        times = [time for _, time in entries]
        latest = None if times[0] is None else max(times)
        last = [weight for weight, time in entries if time == latest][-1]
        merged[pair] = ({"sum": sum(weights), "count": len(weights), "max": max(weights), "last": last}[rule], latest)
    return merged


# ---- resampling ---------------------------------------------------------------------------------------------------


def draw_counts(words, n):
    """words: for each resample n numbers below 2^32; how often each of 0 … n - 1 is drawn by them."""
    return [[[word * n >> 32 for word in row[:n]].count(number) for number in range(n)] for row in words]


def signed_sums(values, words):
    """words: for each resample numbers of 64 bits; row i of `values` counts plus where bit i % 64 of word i // 64 is set."""
    sums = []
    for row in words:
        signs = [1 if row[i // 64] >> (i % 64) & 1 else -1 for i in range(len(values))]
        sums.append([sum(sign * value for sign, value in zip(signs, column, strict=True)) for column in values.T])
    return sums


def kept_finds(found, seen, allowed):
    """The positions that are no gap (-1), not seen, and allowed, in order."""
    return [position for position in found if position >= 0 and position not in seen and (allowed is None or allowed[position])]


def promise(query, middle):
    """Of a list of items, by its middle and, in the last column, what the query's length is multiplied by."""
    return sum(float(a) * float(b) for a, b in zip(query, middle[:-1], strict=True)) + np.linalg.norm(query) * middle[-1]


# ---- items that stand together --------------------------------------------------------------------------------------


def pair_sums(sequences, *, window, by_distance):
    """{(i, j), i < j: sum} over the times that items i and j stand within `window` places (None: any) in a sequence."""
    sums = {}
    for sequence in sequences:
        for (one, i), (other, j) in itertools.combinations(enumerate(sequence), 2):
            if i != j and (window is None or other - one <= window):
                pair = (min(i, j), max(i, j))
                sums[pair] = sums.get(pair, 0) + (1 / (other - one) if by_distance else 1)
    return sums


def glove_loss(left, right, pairs, *, x_max, exponent):
    """½ Σ f(X) (w_i · w̃_j + b_i + b̃_j - log X)² over pairs {(i, j): X}; the last column of a table holds biases."""
    total = 0.0
    for (i, j), x in pairs.items():
        error = np.dot(left[i, :-1], right[j, :-1]) + left[i, -1] + right[j, -1] - math.log(x)
        total += min(1.0, (x / x_max) ** exponent) * error**2 / 2
    return total


# ---- compressed rows times dense columns ----------------------------------------------------------------------------


def sparse_product(rows, dense):
    """rows: {column: weight}, one a row; each row's weighted sum of the dense rows at its columns."""
    return [sum((weight * dense[column] for column, weight in row.items()), np.zeros(dense.shape[1])) for row in rows]


def sparse_gram_product(rows, dense):
    """The transposed matrix times what `sparse_product` gives."""
    result = np.zeros(dense.shape)
    for row, total in zip(rows, sparse_product(rows, dense), strict=True):
        for column, weight in row.items():
            result[column] += weight * total
    return result


def sketched_rows(rows, buckets, signs, shape):
    """Each row added, with its sign, to the column of its bucket."""
    result = np.zeros(shape)
    for row, bucket, sign in zip(rows, buckets, signs, strict=True):
        for column, weight in row.items():
            result[column, bucket] += sign * weight
    return result


# ---- weights between items ------------------------------------------------------------------------------------------


def item_item_score(entries, weights, offsets, item):
    """entries: [(own item, weight)]; weights: dense B. Summed in float64 in their order and rounded once."""
    total = 0.0
    for own, weight in entries:
        total += float(np.float32(weight)) * float(weights[own, item])
    return float(np.float32(total + float(offsets[item])))


def item_item_list(entries, weights, offsets, k, skip=(), candidates=None):
    """[(position, score)] of the k best items, ties to the lower position."""
    allowed = range(len(weights)) if candidates is None else candidates
    scores = [(item_item_score(entries, weights, offsets, item), item) for item in allowed if item not in set(skip)]
    return [(item, score) for score, item in sorted(scores, key=lambda pair: (-pair[0], pair[1]))[:k]]


def ranked_by(scores, k, skip=()):
    """The k positions of highest score, ties to the lower position."""
    return sorted(set(range(len(scores))) - set(np.asarray(skip).tolist()), key=lambda item: (-scores[item], item))[:k]


def nearest_items(matrix, k, *, similarity, shrink):
    """[[(other, likeness)]] of each column of a dense matrix, nearest first, ties to the lower position."""
    columns, found = matrix.astype(float).T, []
    for item, mine in enumerate(columns):
        likeness = []
        for other, theirs in enumerate(columns):
            shared = float(mine @ theirs)
            if other == item or not shared > 0:
                continue
            if similarity == "cosine":
                whole = math.sqrt(mine @ mine) * math.sqrt(theirs @ theirs)
            else:
                whole = float(mine @ mine + theirs @ theirs) - shared
            likeness.append((float(np.float32(shared / (whole + shrink))), other))
        found.append([(other, value) for value, other in sorted(likeness, key=lambda pair: (-pair[0], pair[1]))[:k]])
    return found


def walks(matrix, k, *, source, user, target):
    """Dense B of random walks j → v → i over a matrix of users and items, the k best j of each i, ties to the lower one."""
    by_user, by_item = matrix.sum(axis=1), matrix.sum(axis=0)
    dense = np.zeros((matrix.shape[1], matrix.shape[1]))
    for i in range(matrix.shape[1]):
        reached = []
        for j in range(matrix.shape[1]):
            met = sum(matrix[v, j] * matrix[v, i] / by_user[v] ** user for v in range(len(matrix)) if matrix[v, i] > 0)
            if j != i and met > 0:
                reached.append((met / by_item[j] ** source / by_item[i] ** target, j))
        for value, j in sorted(reached, key=lambda pair: (-np.float32(pair[0]), pair[1]))[:k]:
            dense[j, i] = value
    return dense


def ease(matrix, regularization):
    """Steck 2019, equation 8, in float64."""
    inverse = np.linalg.inv(matrix.T @ matrix + regularization * np.eye(matrix.shape[1]))
    return np.eye(len(inverse)) - inverse / np.diag(inverse)


# ---- gradient steps over features ----------------------------------------------------------------------------------


def hybrid_steps(examples, likes, candidates, picks, users, items, loss, rate, penalties, kth, adadelta=None):
    """examples: (user, item, importance, liked); likes: {user: rising items}; users, items: (dense features, table), float64.

    Moves both tables step by step, down the gradient of each example's loss with AdaGrad, or AdaDelta of (rho, epsilon).
    """
    past = [np.full(side[1].shape, 0.0 if adadelta else 1.0) for side in (users, items)]
    steps = [np.zeros(side[1].shape) for side in (users, items)]

    def score(user, item):
        x, y = users[0][user] @ users[1], items[0][item] @ items[1]
        return x[:-1] @ y[:-1] + x[-1] + y[-1]

    def descend(side, row, gradient):
        features, table = (users, items)[side]
        for feature in np.flatnonzero(features[row]):
            slope = features[row, feature] * gradient + penalties[side] * table[feature]
            if adadelta:
                rho, epsilon = adadelta
                past[side][feature] = rho * past[side][feature] + (1 - rho) * slope**2
                step = np.sqrt((steps[side][feature] + epsilon) / (past[side][feature] + epsilon)) * slope
                steps[side][feature] = rho * steps[side][feature] + (1 - rho) * step**2
                table[feature] -= step
            else:
                table[feature] -= rate / np.sqrt(past[side][feature]) * slope
                past[side][feature] += slope**2

    for number, (user, item, importance, liked) in enumerate(examples):
        x, push, rival = users[0][user] @ users[1], 0.0, None
        if loss == "logistic":
            y = items[0][item] @ items[1]
            push = importance * (1 / (1 + np.exp(-score(user, item))) - liked)
            descend(0, user, push * np.append(y[:-1], 1))
            descend(1, item, push * np.append(x[:-1], 1))
            continue
        if loss == "warp-kos":
            drawn = [likes[user][int(pick * len(likes[user]))] for pick in picks[number]]
            item = sorted(drawn, key=lambda one: -score(user, one))[kth - 1]
        above = score(user, item)
        for tries, rival in enumerate(candidates[number], 1):
            if rival in likes[user]:
                continue
            below = score(user, rival)
            if loss == "bpr":
                push = importance / (1 + math.exp(above - below))
            elif below > above - 1:
                push = importance * min(math.log(max(1, (len(items[0]) - 1) // tries)), 10)
            if push > 0:
                break
        if push > 0:
            y, z = items[0][item] @ items[1], items[0][rival] @ items[1]
            descend(0, user, push * np.append((z - y)[:-1], 0))
            descend(1, rival, push * np.append(x[:-1], 1))
            descend(1, item, -push * np.append(x[:-1], 1))


# ---- gradient steps on drawn negatives (kernels.sgd) ----------------------------------------------------------------


class Xorshift:
    """xorshift64 (Marsaglia 2003) on Python's own integers."""

    def __init__(self, seed):
        self.word = int(seed)

    def below(self, n):
        word = self.word
        word ^= (word << 13) % 2**64
        word ^= word >> 7
        word ^= (word << 17) % 2**64
        self.word = word
        return (word >> 32) * n >> 32


def shuffled_entries(bucket, draw):
    """Yields each entry once; in the meantime `bucket` is a list that shows what has been dealt."""
    for place in range(len(bucket)):
        other = place + draw.below(len(bucket) - place)
        bucket[place], bucket[other] = bucket[other], bucket[place]
        yield bucket[place]


def drawn_negative(bucket, members, draw, by_popularity, indices, refused, draws=8):
    for _ in range(draws):
        j = indices[bucket[draw.below(len(bucket))]] if by_popularity else members[draw.below(len(members))]
        if j not in refused:
            return int(j)
    return None


def train_bpr(
    bucket, members, seed, by_popularity, verify, rows, indptr, indices, users, items, user_squares, item_squares, rate, penalty
):
    """Returns new (users, items, user_squares, item_squares), float64, and how many entries found a negative and were right
    before their step."""
    bucket, draw = list(bucket), Xorshift(seed)
    users, items, user_squares, item_squares = (a.astype(float) for a in (users, items, user_squares, item_squares))
    found = correct = 0
    for entry in shuffled_entries(bucket, draw):
        u, i = rows[entry], indices[entry]
        refused = set(indices[indptr[u] : indptr[u + 1]].tolist()) if verify else set()
        j = drawn_negative(bucket, members, draw, by_popularity, indices, refused)
        if j is None or j == i:
            continue
        x, y, z = users[u].copy(), items[i].copy(), items[j].copy()
        difference = x @ (y - z)
        found, correct = found + 1, correct + (difference > 0)
        slope = 1 / (1 + math.exp(difference))
        user_squares[u] += np.mean((slope * (y - z)[:-1]) ** 2)
        item_squares[[i, j]] += np.mean((slope * x[:-1]) ** 2)
        users[u] += rate / math.sqrt(user_squares[u]) * (slope * (y - z) - penalty * x)
        users[u, -1] = 1
        items[i] += rate / math.sqrt(item_squares[i]) * (slope * x - penalty * y)
        items[j] += rate / math.sqrt(item_squares[j]) * (-slope * x - penalty * z)
    return users, items, user_squares, item_squares, found, correct


def train_logistic(
    bucket, members, seed, by_popularity, n_negatives, alpha, rows, indices, weights, users, items, user_squares, item_squares,
    rate, most, penalty,
):  # fmt: skip
    """Returns new (users, items, user_squares, item_squares), float64, and the sum of the losses before each step."""
    bucket, draw = list(bucket), Xorshift(seed)
    users, items, user_squares, item_squares = (a.astype(float) for a in (users, items, user_squares, item_squares))
    loss = 0.0
    for entry in shuffled_entries(bucket, draw):
        u = rows[entry]
        steps = [(indices[entry], 1, alpha * weights[entry])]
        for number in range(n_negatives + 1):
            i, sign, weight = steps[-1]
            x, y = users[u].copy(), items[i].copy()
            score = x @ y
            loss += weight * math.log1p(math.exp(-sign * score))
            slope = sign * min(weight, most) / (1 + math.exp(sign * score))
            user_squares[u] += np.mean((slope * y[:-2]) ** 2)
            item_squares[i] += np.mean((slope * x[:-2]) ** 2)
            users[u] += rate / math.sqrt(user_squares[u]) * (slope * y - penalty * x)
            items[i] += rate / math.sqrt(item_squares[i]) * (slope * x - penalty * y)
            users[u, -2] = items[i, -1] = 1
            if number < n_negatives:
                steps.append((drawn_negative(bucket, members, draw, by_popularity, indices, set()), -1, 1.0))
    return users, items, user_squares, item_squares, loss


# ---- vectors kept as codes: one query and one code ---------------------------------------------------------------------


def scored_bytes(weights, offset, code, factor):
    return factor * (offset + sum(float(weight) * int(number) for weight, number in zip(weights, code, strict=True)))


def nibbles(code):
    """The low halves of all bytes, then the high ones."""
    return [int(byte) % 16 for byte in code] + [int(byte) // 16 for byte in code]


def scored_nibbles(weights, offset, code, bend, factor):
    halves = [nibble - 7.5 for nibble in nibbles(code)]
    return factor * (offset + sum(float(w) * u * (1 + bend * u * u) for w, u in zip(weights, halves, strict=True)))


def scored_tables(tables, code, factor):
    return factor * sum(float(table[place]) for table, place in zip(tables, code, strict=True))


def scored_signs(query, code, dim, factor):
    differ = sum((int(a) ^ int(b)).bit_count() for a, b in zip(query, code, strict=True))
    return factor * (dim - 2 * differ)


def nearest_centre(point, centres):
    squares = [sum((float(x) - float(y)) ** 2 for x, y in zip(point, centre, strict=True)) for centre in centres.T]
    return squares.index(min(squares))
