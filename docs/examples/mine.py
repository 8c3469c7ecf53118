"""An item that is learned, taught wrongly, and mended."""

import metaplastic_np as mp

once = list(range(8))
relearned = [*once, mp.Step(0, label=5), *4 * [0]]  # item 0 taught as 5, then mended four times
settings = mp.Settings(n_items=8, trials=2, schedule=relearned)
results = mp.run_experiment(mp.load_digits(), settings)
for network, recall in zip(settings.networks, results.recall, strict=True):
    print(f"{network:<13}", recall[:, 8:, 0].mean(axis=0).round(2))  # of item 0 from then on
