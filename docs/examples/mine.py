"""An item that is learned, taught wrongly, and mended."""

import metaplastic_np as mp

n = 8
wrong = mp.Step(0, label=n - 1)  # item 0's images, taught as the last item
schedule = [*range(n), wrong, *4 * [0]]  # the list, the lie, then item 0 as it is, four times
settings = mp.Settings(n_items=n, trials=2, schedule=schedule)
results = mp.run_experiment(mp.load_digits(), settings)
for network, recall in zip(settings.networks, results.recall, strict=True):
    print(f"{network:<13}", recall[:, n:, 0].mean(axis=0).round(2))  # of item 0, after the list on
